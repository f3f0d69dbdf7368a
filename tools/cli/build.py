"""`./strake build`: a target of the build graph, with progress, and what came out of it."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from pathlib import Path

import click

from tools.cli import pants
from tools.cli.progress import Durations, Progress
from tools.workspace import cache_dir, repo_root, store_dir

IMAGE = "os/image:strake"


@dataclass(frozen=True, slots=True)
class Artifact:
    """A built file: where, how large in bytes, and its SHA-256."""

    path: Path
    size: int
    sha256: str


def run_build(target: str) -> pants.Built:
    """Build a target, show progress on standard error, and say in one line how it went.

    Raises:
        BuildError: with the message of the step that failed.
    """
    started = time.monotonic()
    durations = Durations(cache_dir() / "durations.json")
    with Progress(durations) as progress:
        built = pants.package(target, repo_root(), store_dir(), progress.report)
    steps = "nothing had changed" if progress.ran == 0 else f"{progress.ran} steps ran"
    seconds = time.monotonic() - started
    click.echo(f"{target} is built ({steps}, {seconds:.1f} s)", err=True)
    return built


def artifacts(built: pants.Built) -> tuple[Artifact, ...]:
    """Every file of a build with its size and digest, sorted by path."""
    files = (file for path in built.artifacts for file in _files(path))
    return tuple(_artifact(file) for file in sorted(set(files)))


def _files(path: Path) -> list[Path]:
    return [p for p in path.rglob("*") if p.is_file()] if path.is_dir() else [path]


def _artifact(path: Path) -> Artifact:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Artifact(path, path.stat().st_size, digest)


@click.command()
@click.argument("target", default=IMAGE)
@click.option("--json", "as_json", is_flag=True, help="Print the artifacts as JSON.")
def build(target: str, as_json: bool) -> None:
    """Build TARGET (an address of the build graph) and list what it made.

    \b
    ./strake build                     the disk image and all it is made of
    ./strake build os/kernel:kernel    only the kernel
    ./strake build os/image:docker-sysext
    """
    found = artifacts(run_build(target))
    root = repo_root()
    rows = [
        {"path": str(a.path.relative_to(root)), "size": a.size, "sha256": a.sha256} for a in found
    ]
    if as_json:
        click.echo(json.dumps({"target": target, "artifacts": rows}, indent=2))
        return
    for row in rows:
        click.echo(f"{row['sha256']}  {row['size']:>12}  {row['path']}")
