"""How long builds of the image take, as a contributor sees them.

All builds run in a copy of the work tree, so that a file can be changed. Warm builds share
the user's caches; cold ones get an empty cache directory, and packages come from where
they always come from.
"""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.bench._row import Row
from tools.cli import pants
from tools.errors import StrakeError
from tools.reproduce import copy_tree

IMAGE = "os/image:strake"
KERNEL = "os/kernel:kernel"
UNITS = "os/rootfs/overlay/usr/lib/systemd/system"
PYTHON = "services"


class BenchError(StrakeError):
    """There is nothing to measure."""


def warm(root: Path, work: Path, say: Callable[[str], None], rounds: int = 3) -> list[Row]:
    """Nothing changed, one unit changed, one Python file changed: medians of some rounds."""
    with _copy(root, work) as tree:
        _timed(tree, IMAGE, dict(os.environ), say)
        unit = _first(tree / UNITS, "*.service")
        module = _first(tree / PYTHON, "*.py")
        cases = (
            ("build, nothing changed", None, 15.0),
            ("build, one unit file changed", unit, 45.0),
            ("build, one Python file changed", module, 45.0),
        )
        return [_measure(tree, name, file, limit, rounds, say) for name, file, limit in cases]


def cold(root: Path, work: Path, say: Callable[[str], None]) -> list[Row]:
    """From empty caches; then with only the kernel cached, everything else fetched anew."""
    cache = work / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    env = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    with _copy(root, work) as tree:
        kernel = _timed(tree, KERNEL, env, say)
        for name in ("store", "tools"):
            _remove(cache / "strake/named/strake" / name)
        rest = _timed(tree, IMAGE, env, say)
    _remove(cache)
    return [
        Row("cold build, empty caches", (kernel + rest) / 60, "min", 25.0, "with set-up and fetch"),
        Row("cold build, kernel cached", rest / 60, "min", 3.0, "all packages fetched again"),
    ]


def _measure(
    tree: Path,
    name: str,
    file: Path | None,
    limit: float,
    rounds: int,
    say: Callable[[str], None],
) -> Row:
    times = []
    for _ in range(rounds):
        if file is not None:
            with file.open("a") as stream:
                stream.write(f"# changed at {time.time_ns()}\n")
        times.append(_timed(tree, IMAGE, dict(os.environ), say))
    note = f"median of {rounds}, {min(times):.1f} to {max(times):.1f}"
    return Row(name, statistics.median(times), "s", limit, note)


def _timed(tree: Path, target: str, env: dict[str, str], say: Callable[[str], None]) -> float:
    store = Path(env.get("XDG_CACHE_HOME") or Path(env["HOME"]) / ".cache") / "strake/named/strake"
    started = time.monotonic()
    pants.package(target, tree, store, lambda line: say(f"{line.step}: {line.text}"), env=env)
    return time.monotonic() - started


@contextmanager
def _copy(root: Path, work: Path) -> Iterator[Path]:
    tree = work / "tree"
    copy_tree(root, tree)
    try:
        yield tree
    finally:
        shutil.rmtree(tree, ignore_errors=True)


def _first(directory: Path, pattern: str) -> Path:
    for path in sorted(directory.rglob(pattern)):
        if not path.name.endswith("_test.py"):
            return path
    raise BenchError(f"there is no {pattern} in {directory} to change")


def _remove(directory: Path) -> None:
    """Remove a directory, read-only trees in it too."""
    for path, names, _ in os.walk(directory):
        for name in names:
            if not os.path.islink(os.path.join(path, name)):
                os.chmod(os.path.join(path, name), 0o700)
    shutil.rmtree(directory, ignore_errors=True)
