"""Writes the locks of the Python resolves: `python -m tools.pylock [--check] [NAME...]`.

`3rdparty/python/NAME.txt` says what is wanted, `NAME.lock` what that resolves to: every
version pinned, with the SHA-256 of each wheel for the platforms in `TARGETS`. A lock names
no host: pip takes the files from whatever index the machine is set up with, and the hashes
see to it that they are the same files. Only wheels are taken, so nothing is compiled and no
foreign set-up script runs.

pip does the resolving. It is the one of a fresh virtual environment of the running
interpreter, which must be the CPython that our code runs on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.errors import StrakeError
from tools.proc import ProgramFailed, network_env, run
from tools.workspace import repo_root

DIRECTORY = Path("3rdparty/python")
_GLIBC_MINORS = (39, 35, 34, 31, 28, 27, 26, 24, 17, 12, 5)


class PyLockError(StrakeError):
    """Requirements do not resolve, or a lock does not fit its requirements."""


@dataclass(frozen=True, slots=True)
class Target:
    """An interpreter and processor for which a lock carries hashes."""

    python: str
    machine: str

    def pip_flags(self) -> list[str]:
        """What makes pip choose wheels for this target, not for the running interpreter."""
        flags = ["--python-version", self.python, "--implementation", "cp"]
        for minor in _GLIBC_MINORS:
            flags += ["--platform", f"manylinux_2_{minor}_{self.machine}"]
        return [*flags, "--platform", f"manylinux2014_{self.machine}"]


@dataclass(frozen=True, slots=True)
class Pin:
    """One resolved distribution; `sha256` is of one of its wheels.

    `universal` says that this wheel serves every interpreter and platform.
    """

    name: str
    version: str
    sha256: str
    universal: bool = False


TARGETS = tuple(
    Target(python, machine)
    for machine in ("x86_64", "aarch64")
    for python in ("3.11", "3.12", "3.13")
)
"""The first is the one that is resolved for; the others add hashes to its versions."""


def parse_report(report: Mapping[str, object]) -> tuple[Pin, ...]:
    """The pins of a pip installation report (version 1), sorted by normalised name.

    Raises:
        PyLockError: an entry was not taken from an index, so it has no hash.
    """
    pins = []
    install = report.get("install", [])
    assert isinstance(install, list)
    for item in install:
        name = normalise(item["metadata"]["name"])
        origin = item["download_info"]
        hashes = origin.get("archive_info", {}).get("hashes", {})
        if "sha256" not in hashes:
            raise PyLockError(f"{name} did not come as a wheel from a package index")
        universal = origin["url"].endswith("-none-any.whl")
        pins.append(Pin(name, item["metadata"]["version"], hashes["sha256"], universal))
    return tuple(sorted(pins, key=lambda pin: pin.name))


def normalise(name: str) -> str:
    """The canonical form of a distribution's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def render(pins: Iterable[Pin]) -> str:
    """A lock: requirement lines with every hash known, one hash a line, all sorted."""
    hashes: dict[tuple[str, str], set[str]] = {}
    for pin in pins:
        hashes.setdefault((pin.name, pin.version), set()).add(pin.sha256)
    lines = []
    for (name, version), known in sorted(hashes.items()):
        lines.append(f"{name}=={version} \\")
        lines += [f"    --hash=sha256:{value} \\" for value in sorted(known)]
        lines[-1] = lines[-1].removesuffix(" \\")
    return "\n".join([*lines, ""])


@dataclass(frozen=True, slots=True)
class Resolver:
    """pip in a virtual environment of its own, below `work`."""

    work: Path

    def resolve(self, requirements: Path) -> str:
        """The text of the lock for a requirements file.

        Raises:
            PyLockError: the requirements contradict each other or name unknown versions.
        """
        first, *others = TARGETS
        pins = self._report(requirements, first, deps=True)
        found = list(pins)
        special = tuple(pin for pin in pins if not pin.universal)
        for target in others:
            found += self._hashes(special, target)
        return render(found)

    def _hashes(self, pins: tuple[Pin, ...], target: Target) -> tuple[Pin, ...]:
        """Wheels of `pins` for another target; none of a package that has none for it."""
        if not pins:
            return ()
        pinned = self.work / "pinned.txt"
        pinned.write_text("".join(f"{pin.name}=={pin.version}\n" for pin in pins))
        try:
            return self._report(pinned, target, deps=False)
        except PyLockError:
            if len(pins) == 1:
                return ()
            half = len(pins) // 2
            return (*self._hashes(pins[:half], target), *self._hashes(pins[half:], target))

    def _report(self, requirements: Path, target: Target, *, deps: bool) -> tuple[Pin, ...]:
        report = self.work / "report.json"
        argv: list[str | Path] = [
            self.work / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--dry-run",
            "-qq",
        ]
        argv += ["--disable-pip-version-check", "--ignore-installed", "--only-binary", ":all:"]
        argv += ["--target", self.work / "none", "--report", report, *target.pip_flags()]
        argv += [] if deps else ["--no-deps"]
        try:
            run([*argv, "-r", requirements], env=_pip_env())
        except ProgramFailed as error:
            lines = [line for line in error.tail.splitlines() if line.startswith("ERROR: ")]
            reason = lines[-1].removeprefix("ERROR: ") if lines else error.message
            raise PyLockError(f"{requirements.name} does not resolve: {reason}") from error
        return parse_report(json.loads(report.read_bytes()))


def _pip_env() -> dict[str, str]:
    """pip finds its index in the user's own configuration, so it sees HOME and PIP_*."""
    names = [name for name in os.environ if name.startswith(("PIP_", "XDG_"))]
    return {**network_env(), **{name: os.environ[name] for name in ("HOME", *names)}}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tools.pylock", description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if it would")
    parser.add_argument("names", nargs="*", metavar="NAME", help="resolves (default: all)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    arguments = _parser().parse_args(argv)
    directory = repo_root() / DIRECTORY
    wanted = sorted(directory.glob("*.txt"))
    if arguments.names:
        wanted = [directory / f"{name}.txt" for name in arguments.names]
    stale = []
    with tempfile.TemporaryDirectory() as work:
        run([sys.executable, "-m", "venv", work])
        resolver = Resolver(Path(work))
        for requirements in wanted:
            lock = requirements.with_suffix(".lock")
            text = resolver.resolve(requirements)
            if not lock.is_file() or lock.read_text() != text:
                stale.append(lock.name)
                if not arguments.check:
                    lock.write_text(text)
    for name in stale:
        print(f"{name} {'is out of date' if arguments.check else 'written'}")
    return int(arguments.check and bool(stale))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except StrakeError as error:
        sys.exit(error.render())
