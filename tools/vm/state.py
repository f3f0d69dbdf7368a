"""Which machines run: a directory per name, below the cache.

The process that runs a machine holds a lock on its directory, so a machine is running if
and only if the lock is held; a crash leaves nothing that could be mistaken for one. The
state file tells other processes (`strake ssh`) how to reach it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.vm.errors import NoSuchVm, VmError
from tools.vm.ssh import Login

DEFAULT_NAME = "strake"
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True, slots=True)
class VmState:
    """A running machine as others need to know it. `pid` is QEMU's."""

    name: str
    pid: int
    ssh_port: int
    key: str
    accel: str
    log: str

    @property
    def login(self) -> Login:
        """How to reach it by ssh."""
        return Login(self.ssh_port, Path(self.key))


@contextmanager
def claim(base: Path, name: str) -> Iterator[Path]:
    """The directory of machine `name` below `base`, ours alone until the block is left.

    Raises:
        VmError: a machine of that name is running, or the name is none.
    """
    directory = _directory(base, name)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _lock(handle):
            raise VmError(
                f"a machine named {name} is already running",
                "end it first, or give this one another --name",
            )
        try:
            (directory / "state.json").unlink(missing_ok=True)
            yield directory
        finally:
            (directory / "state.json").unlink(missing_ok=True)
    finally:
        os.close(handle)


def publish(directory: Path, state: VmState) -> None:
    """Tell others about the machine, all at once."""
    temporary = directory / "state.json.new"
    temporary.write_text(json.dumps(asdict(state), indent=1) + "\n", encoding="utf-8")
    temporary.replace(directory / "state.json")


def running(base: Path, name: str = DEFAULT_NAME) -> VmState:
    """The running machine of that name.

    Raises:
        NoSuchVm: there is none, or it is not up yet.
    """
    directory = _directory(base, name)
    missing = NoSuchVm(f"no machine named {name} is running", "start one with ./strake boot")
    try:
        handle = os.open(directory / "lock", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise missing from None
    try:
        if _lock(handle):
            raise missing
    finally:
        os.close(handle)
    try:
        values = json.loads((directory / "state.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise NoSuchVm(f"the machine {name} is only starting", "try again in a moment") from None
    return VmState(**values)


def names(base: Path) -> tuple[str, ...]:
    """The names of all running machines, sorted."""
    found = []
    for lock in sorted(base.glob("*/lock")):
        try:
            found.append(running(base, lock.parent.name).name)
        except NoSuchVm:
            continue
    return tuple(found)


def _directory(base: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        raise VmError(f"“{name}” is no name for a machine", "use a-z, 0-9, dot and dash")
    return base / name


def _lock(handle: int) -> bool:
    """Take the lock, which closing `handle` gives back; False when somebody holds it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
