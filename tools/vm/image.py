"""What a build leaves for a machine to run: the disk, and the parts for direct boots.

A directory with `disk.raw.zst` and `image.json`, as `./pants package os/image:strake`
writes it, and beside them or in it the kernel and the command line of its UKI.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.proc import run
from tools.vm.errors import VmError
from tools.vm.programs import Programs
from tools.vm.spec import Direct, Disk

_BUILD = "build it with ./strake build os/image:strake"
_KEPT = 4
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Image:
    """A built image. Paths of parts that the directory lacks are None."""

    disk: Path
    kernel: Path | None
    uki: Path | None
    slot: Path | None
    cmdline: str

    @classmethod
    def load(cls, directory: Path) -> Image:
        """Find the parts in a directory.

        Raises:
            VmError: it holds no disk.
        """
        disk = _part(directory, "disk.raw.zst") or _part(directory, "disk.raw")
        if disk is None:
            raise VmError(f"no disk.raw.zst in {directory}", _BUILD)
        description = _part(directory, "uki.json")
        return cls(
            disk=disk,
            kernel=_part(directory, "bzImage"),
            uki=_part(directory, "strake.efi"),
            slot=_part(directory, "root.slot"),
            cmdline=_cmdline(description) if description else "",
        )

    def direct(self) -> Direct:
        """How to start its kernel without firmware.

        Raises:
            VmError: the kernel or its command line is not there.
        """
        if self.kernel is None or not self.cmdline:
            raise VmError(f"no bzImage and uki.json beside {self.disk}", _BUILD)
        return Direct(self.kernel, self.cmdline)


def unpacked(image: Image, cache: Path, programs: Programs) -> Path:
    """The image's raw disk, unpacked sparse into `cache` unless it is there; do not write it.

    Raises:
        VmError: it cannot be unpacked.
    """
    if image.disk.suffix != ".zst":
        return image.disk
    digest = _sha256(image.disk)
    target = cache / f"{digest[:32]}.raw"
    with _locked(cache / "lock"):
        if target.exists():
            os.utime(target)
            return target
        temporary = target.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        argv = programs.argv("zstd", "-q", "-d", "--sparse", image.disk, "-o", temporary)
        run(argv, env=programs.env)
        temporary.chmod(0o444)
        temporary.replace(target)
        _prune(cache)
    return target


def overlay(base: Path, target: Path, programs: Programs, size: int | None = None) -> Disk:
    """A new qcow2 disk over `base` that takes all writes; `size` in bytes, if to be larger.

    Raises:
        VmError: `size` is smaller than the base.
    """
    if size is not None and size < base.stat().st_size:
        raise VmError(
            f"a disk of {size // MIB} MiB is smaller than its image",
            f"use {base.stat().st_size // MIB} MiB or more",
        )
    target.unlink(missing_ok=True)
    words = ("create", "-q", "-f", "qcow2", "-b", base.resolve(), "-F", "raw", target)
    run(
        programs.argv("qemu-img", *words, *([str(size)] if size else [])),
        env=programs.env,
    )
    return Disk(target)


def _part(directory: Path, name: str) -> Path | None:
    path = directory / name
    return path if path.is_file() else None


def _cmdline(path: Path) -> str:
    try:
        return str(json.loads(path.read_text(encoding="utf-8"))["cmdline"]).strip()
    except (ValueError, KeyError, TypeError) as error:
        raise VmError(f"{path} holds no command line", _BUILD) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def _prune(cache: Path) -> None:
    """Keep the newest few; a machine that runs on an older one keeps it open."""
    newest = sorted(cache.glob("*.raw"), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest[_KEPT:]:
        old.unlink()
