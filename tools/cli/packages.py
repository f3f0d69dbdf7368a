"""`./strake lock` and `./strake mirror`: which packages, and where they are kept."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from tools.debian import commands, fetch
from tools.workspace import repo_root, store_dir


@click.command()
@click.option("--check", is_flag=True, help="Only tell what the mirror no longer has.")
@click.option("--python", is_flag=True, help="Lock the Python packages of 3rdparty/python instead.")
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
def lock(check: bool, python: bool, as_json: bool) -> None:
    """Resolve os/packages/packages.toml and write os/packages/packages.lock.

    \b
    ./strake lock            newest versions of everything wanted, by apt's own solver
    ./strake lock --check    exit 1 when the mirror lost an entry, or packages.toml was edited

    Indices are taken only with a signature of a key in os/packages/keys. The mirror comes from
    STRAKE_DEBIAN_MIRROR, ~/.config/strake/config.toml, or the host's own apt sources.
    """
    if python:
        _lock_python()
    elif check:
        _check(as_json)
    else:
        _lock(as_json)


def _lock(as_json: bool) -> None:
    with _bar("lock") as (note, progress):
        done = commands.lock(repo_root(), store_dir(), note, progress)
    if as_json:
        changes = [str(change) for change in done.changes]
        click.echo(json.dumps({"packages": len(done.lock.packages), "changes": changes}, indent=2))
        return
    for change in done.changes:
        click.echo(str(change))
    click.echo(f"{len(done.lock.packages)} packages are locked, {len(done.changes)} changed")


def _check(as_json: bool) -> None:
    with _bar("check") as (_, progress):
        found = commands.check(repo_root(), store_dir(), progress)
    if as_json:
        gone = [f"{package.name} {package.version}" for package in found.gone]
        click.echo(
            json.dumps({"total": found.total, "gone": gone, "stale": list(found.stale)}, indent=2)
        )
    else:
        for line in found.lines():
            click.echo(line)
        click.echo(
            f"{found.total} packages checked against {found.origin}: {len(found.gone)} are gone, "
            f"{len(found.stale)} sets were edited"
        )
    sys.exit(found.exit_code)


def _lock_python() -> None:
    from tools import pylock

    status = pylock.main([])
    if status:
        sys.exit(status)


@click.group()
def mirror() -> None:
    """Keep all locked packages in a directory of one's own.

    A directory filled by `sync` makes builds work without a network, and keeps what Debian
    drops. Point STRAKE_MIRROR to it, or to a web server that publishes it:

    \b
    ./strake mirror sync /srv/strake
    STRAKE_MIRROR=/srv/strake ./strake build
    """


@mirror.command()
@click.argument("directory", type=click.Path(path_type=Path, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print what happened as JSON.")
def sync(directory: Path, as_json: bool) -> None:
    """Fetch, or verify, every locked package in DIRECTORY; may be run again at any time."""
    target = Path(os.environ.get("STRAKE_CALLER_DIR", ".")) / directory
    with _bar("sync") as (_, progress):
        done = commands.sync(repo_root(), store_dir(), target, progress)
    if as_json:
        click.echo(json.dumps(dataclasses.asdict(done), indent=2))
        return
    click.echo(str(done))


Note = Callable[[str], None]


@contextmanager
def _bar(title: str) -> Iterator[tuple[Note, fetch.ProgressCallback]]:
    """A bar for a terminal; elsewhere only the notes, as lines on standard error."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bar(*columns, TimeRemainingColumn(), console=console, transient=True) as bar:
        task = bar.add_task(title, total=None)

        def note(text: str) -> None:
            bar.update(task, description=text)
            if not console.is_terminal:
                click.echo(text, err=True)

        def progress(state: fetch.Progress) -> None:
            if state.bytes:
                bar.update(task, completed=state.bytes_done, total=state.bytes)
            else:
                bar.update(task, completed=state.files_done, total=state.files)

        yield note, progress
