"""Craft disks for tests of the two slots: a second release, damage, wiped partitions.

A second release is the first one's file system under another verity salt. So it has another
root hash and another partition, and its kernel image differs in a few words of the command
line that are as long as the old ones. Such an image is not signed any more, which matters
under Secure Boot only.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO
from uuid import UUID

from tools.image import gpt, verity
from tools.proc import run
from tools.vm.programs import Programs

LINUX = "::/EFI/Linux"
_WIPED_AT_ONCE = 1 << 20
_TREE_UUID = UUID("6f1a3c2e-8d57-5b5c-a2f6-0d3d1d0f7a11")


@dataclass(frozen=True, slots=True)
class Release:
    """A root slot's content and the kernel image that opens it."""

    slot: Path
    uki: bytes
    root_hash: str
    salt: str
    erofs_bytes: int

    @property
    def partition(self) -> UUID:
        """The UUID of the partition that holds the slot."""
        return UUID(self.root_hash[:32])

    @classmethod
    def load(cls, directory: Path) -> Release:
        """The release that a build left in a directory."""
        facts = json.loads((directory / "slot.json").read_text(encoding="utf-8"))
        return cls(
            slot=directory / "root.slot",
            uki=(directory / "strake.efi").read_bytes(),
            root_hash=facts["root_hash"],
            salt=facts["salt"],
            erofs_bytes=facts["erofs_bytes"],
        )

    def other(self, directory: Path) -> Release:
        """Another release with the same files; its slot is written below `directory`."""
        slot = directory / "other.slot"
        shutil.copyfile(self.slot, slot)
        os.truncate(slot, self.erofs_bytes)
        salt = bytes(byte ^ 0xFF for byte in bytes.fromhex(self.salt))
        found = verity.append(slot, salt, _TREE_UUID)
        uki = retargeted(self.uki, self, found.root_hash, found.salt)
        return replace(self, slot=slot, uki=uki, root_hash=found.root_hash, salt=found.salt)


def retargeted(uki: bytes, old: Release, root_hash: str, salt: str) -> bytes:
    """A kernel image whose command line names another root hash, salt and partition.

    Raises:
        ValueError: the command line does not hold what is to be replaced.
    """
    words = (
        (old.root_hash, root_hash),
        (old.salt, salt),
        (str(old.partition), str(UUID(root_hash[:32]))),
    )
    for before, after in words:
        if before.encode() not in uki or len(before) != len(after):
            raise ValueError(f"the kernel image does not hold {before}")
        uki = uki.replace(before.encode(), after.encode())
    return uki


@dataclass(frozen=True, slots=True)
class RawDisk:
    """A raw disk image that may be changed."""

    path: Path
    programs: Programs

    @property
    def table(self) -> gpt.Table:
        """Its partition table."""
        with self.path.open("rb") as disk:
            start = disk.read(gpt.FIRST_USABLE * gpt.SECTOR)
            return gpt.decode(start, disk.seek(0, os.SEEK_END) // gpt.SECTOR)

    def partition(self, label: str) -> gpt.Partition:
        """The partition of that label."""
        return next(part for part in self.table.partitions if part.label == label)

    def install(self, label: str, release: Release, entry: str) -> None:
        """Put a release into a slot, and its kernel image on the ESP under the name `entry`."""
        self.write(label, release.slot.read_bytes())
        table = self.table
        parts = tuple(
            replace(part, uuid=release.partition) if part.label == label else part
            for part in table.partitions
        )
        start, end = gpt.encode(replace(table, partitions=parts))
        with self.path.open("r+b") as disk:
            disk.write(start)
            disk.seek(-len(end), os.SEEK_END)
            disk.write(end)
        self.mtools("mcopy", "-o", "-", f"{LINUX}/{entry}", stdin=release.uki)

    def write(self, label: str, data: bytes, offset: int = 0) -> None:
        """Overwrite bytes of a partition."""
        with self._at(label, offset) as disk:
            disk.write(data)

    def wipe(self, label: str) -> None:
        """Fill a partition with zeros."""
        left = self.partition(label).bytes
        with self._at(label, 0) as disk:
            while left:
                left -= disk.write(bytes(min(left, _WIPED_AT_ONCE)))

    def flip(self, label: str, offset: int) -> None:
        """Flip the lowest bit of one byte of a partition."""
        with self._at(label, offset) as disk:
            byte = disk.read(1)[0]
            disk.seek(-1, os.SEEK_CUR)
            disk.write(bytes([byte ^ 1]))

    def entries(self) -> tuple[str, ...]:
        """File names of the kernel images on the ESP, sorted."""
        listing = self.mtools("mdir", "-b", LINUX)
        return tuple(sorted(line.rpartition("/")[2] for line in listing.splitlines() if line))

    def rename(self, entry: str, new: str) -> None:
        """Rename a kernel image on the ESP."""
        self.mtools("mren", f"{LINUX}/{entry}", f"{LINUX}/{new}")

    def mtools(self, name: str, *words: str, stdin: bytes = b"") -> str:
        """Run one of the mtools on the ESP; returns what it printed."""
        where = f"{self.path}@@{self.partition('ESP').offset}"
        env = {**self.programs.env, "MTOOLS_SKIP_CHECK": "1"}
        argv = self.programs.argv("mtools", "-c", name, "-i", where, *words)
        return run(argv, env=env, stdin=stdin).text

    @contextmanager
    def _at(self, label: str, offset: int) -> Iterator[IO[bytes]]:
        part = self.partition(label)
        if not 0 <= offset < part.bytes:
            raise ValueError(f"{offset} is outside of {label}")
        with self.path.open("r+b") as disk:
            disk.seek(part.offset + offset)
            yield disk


def sparse_copy(source: Path, target: Path) -> None:
    """Copy a file and leave its holes holes."""
    with source.open("rb") as reader, target.open("wb") as writer:
        end = reader.seek(0, os.SEEK_END)
        at = 0
        while at < end:
            try:
                at = os.lseek(reader.fileno(), at, os.SEEK_DATA)
            except OSError:
                break  # nothing but a hole up to the end
            stop = os.lseek(reader.fileno(), at, os.SEEK_HOLE)
            while at < stop:
                at += os.copy_file_range(reader.fileno(), writer.fileno(), stop - at, at, at)
        writer.truncate(end)
