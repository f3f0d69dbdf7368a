"""Drive one hermetic step of the build graph.

    python3 -m tools.sandbox.step --store DIR --spec step.json

The description (all paths relative to the current directory):

    {"name": "os/kernel:kernel", "program": "tools.kernel.step",
     "packages": {"tools": "kbuild.json", "debs": ["source.json"]},
     "inputs": {"fragments": "os/kernel/fragments"}, "params": {}, "epoch": 1750000000,
     "out": "out"}

First everything pinned is fetched by hash into the store and the tools tree is made; then
the program runs in the sandbox, without a network, and sees only what is listed. Standard
library only: this runs under whatever CPython 3.11 the host has.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.debian import fetch, lock, toolstree
from tools.errors import StrakeError
from tools.proc import ProgramFailed
from tools.sandbox._sandbox import Bind, Sandbox

_SOURCES = Path(__file__).resolve().parents[2]


class StepError(StrakeError):
    """A step's description is wrong, or its program failed."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """A step as the build graph describes it; see the module's docstring."""

    name: str
    program: str
    tools: Path
    debs: tuple[Path, ...]
    inputs: Mapping[str, Path]
    params: Mapping[str, Any]
    epoch: int
    out: Path

    @classmethod
    def parse(cls, text: str) -> StepSpec:
        """Read the JSON form.

        Raises:
            StepError: it is not JSON, or a field is missing or of the wrong type.
        """
        try:
            raw = json.loads(text)
            return cls(
                name=str(raw["name"]),
                program=str(raw["program"]),
                tools=Path(raw["packages"]["tools"]),
                debs=tuple(Path(path) for path in raw["packages"].get("debs", ())),
                inputs={str(name): Path(path) for name, path in raw["inputs"].items()},
                params=dict(raw["params"]),
                epoch=int(raw["epoch"]),
                out=Path(raw["out"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StepError(f"the description of a step is not usable: {error!r}") from error


def run_step(spec: StepSpec, store: Path, say: Callable[[str], None]) -> None:
    """Fetch, prepare and run one step; its outputs are in `spec.out` afterwards.

    Raises:
        StrakeError: with a message that names the step or the package at fault.
    """
    started = time.monotonic()
    tree_packages = lock.load_packages(spec.tools)
    deb_packages = _union(lock.load_packages(path) for path in spec.debs)
    reporter = _fetch_reporter(say)
    debs = fetch.ensure(deb_packages, store, reporter)
    tree = toolstree.materialise(tree_packages, store, reporter, _unpack_reporter(say))
    spec.out.mkdir(parents=True, exist_ok=True)
    (store / "work").mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="step-", dir=store / "work"))
    try:
        description = _prepare(work, spec, deb_packages, debs)
        say(f"run {spec.program}")
        _run_program(_sandbox(spec, tree, work, description), spec, say)
    finally:
        _remove(work)
    say(f"done in {time.monotonic() - started:.1f} s")


def _union(sets: Iterable[Iterable[lock.LockedPackage]]) -> tuple[lock.LockedPackage, ...]:
    """All packages of some sets, each once, by name."""
    by_name = {package.name: package for packages in sets for package in packages}
    return tuple(by_name[name] for name in sorted(by_name))


def _unpack_reporter(say: Callable[[str], None]) -> toolstree.Note:
    """Say how far the making of a tools tree is, every 20 packages."""

    def report(done: int, total: int) -> None:
        if done % 20 == 0 or done == total:
            say(f"tools tree: {done} of {total} packages")

    return report


def _fetch_reporter(say: Callable[[str], None]) -> Callable[[fetch.Progress], None]:
    """Say how far a fetch is, about once a second."""
    last = time.monotonic()

    def report(progress: fetch.Progress) -> None:
        nonlocal last
        if time.monotonic() - last < 1.0 and progress.files_done < progress.files:
            return
        last = time.monotonic()
        done, total = progress.bytes_done >> 20, progress.bytes >> 20
        say(f"fetch {done} of {total} MiB, {progress.files_done} of {progress.files} packages")

    return report


def _prepare(
    work: Path,
    spec: StepSpec,
    packages: Sequence[lock.LockedPackage],
    debs: Mapping[str, Path],
) -> Path:
    (work / "build").mkdir()
    (work / "debs").mkdir()
    for package in packages:
        os.link(debs[package.name], work / "debs" / f"{package.name}.deb")
    description = work / "step.json"
    content = {
        "name": spec.name,
        "params": spec.params,
        "inputs": sorted(spec.inputs),
        "packages": [package.as_dict() for package in packages],
        "epoch": spec.epoch,
    }
    description.write_text(json.dumps(content, sort_keys=True))
    return description


def _sandbox(spec: StepSpec, tree: Path, work: Path, description: Path) -> Sandbox:
    inputs = (Bind(path, f"/in/{name}") for name, path in sorted(spec.inputs.items()))
    return Sandbox(
        root=tree,
        binds=(
            Bind(_SOURCES, "/src"),
            *inputs,
            Bind(description, "/in/step.json"),
            Bind(work / "debs", "/debs"),
            Bind(work / "build", "/build", writable=True),
            Bind(spec.out, "/out", writable=True),
        ),
        env=(
            ("PYTHONPATH", "/src"),
            ("PYTHONHASHSEED", "0"),
            ("SOURCE_DATE_EPOCH", str(spec.epoch)),
            ("STRAKE_JOBS", str(len(os.sched_getaffinity(0)))),
        ),
    )


def _run_program(sandbox: Sandbox, spec: StepSpec, say: Callable[[str], None]) -> None:
    argv = ["/usr/bin/python3", "-s", "-B", "-m", spec.program]
    try:
        sandbox.run(argv, on_line=say)
    except ProgramFailed as failure:
        raise _explained(spec, failure) from failure


def _explained(spec: StepSpec, failure: ProgramFailed) -> StepError:
    """The program's own `error:` and `hint:` lines where it gave some, else how it ended."""
    message, hint = failure.message, ""
    for line in failure.tail.splitlines():
        if line.startswith("error: "):
            message, hint = line.removeprefix("error: "), ""
        elif line.startswith("hint: "):
            hint = line.removeprefix("hint: ")
    return StepError(f"{spec.name}: {message}", hint)


def _remove(work: Path) -> None:
    """Remove a scratch directory, even what a program made unreadable in it."""

    def make_writable(function: Callable[..., Any], path: str, _: object) -> None:
        os.chmod(os.path.dirname(path), 0o700)
        if not os.path.islink(path):
            os.chmod(path, 0o700)
        function(path)

    shutil.rmtree(work, onerror=make_writable)


def _reporter(name: str, store: Path) -> Callable[[str], None]:
    """Print each line, and keep it where `./strake` follows steps that run under Pants."""
    logs = store / "log"
    logs.mkdir(parents=True, exist_ok=True)
    log = (logs / f"{name.replace('/', '.').replace(':', '-')}.log").open("w", buffering=1)

    def say(line: str) -> None:
        print(line, flush=True)
        log.write(f"{time.time():.2f} {line}\n")

    return say


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="tools.sandbox.step", description=__doc__)
    parser.add_argument("--store", type=Path, required=True, help="the package and tools store")
    parser.add_argument("--spec", type=Path, required=True, help="description of the step (JSON)")
    options = parser.parse_args(argv)
    try:
        spec = StepSpec.parse(options.spec.read_text())
        run_step(spec, options.store.resolve(), _reporter(spec.name, options.store))
    except StrakeError as error:
        print(error.render(), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("error: interrupted; nothing was kept of this step", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error.filename or options.spec}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
