"""Makes file systems inside a disk image, in place, as a plain user, reproducibly."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.image import derive
from tools.image.gpt import SECTOR, Partition
from tools.proc import run

_JOURNAL_MIB = 32
_ENV = {"MTOOLS_SKIP_CHECK": "1", "MTOOLSRC": "/dev/null"}


@dataclass(frozen=True, slots=True)
class Target:
    """Where a file system goes: a disk image and a partition in it."""

    disk: Path
    partition: Partition
    seed: str
    epoch: int

    @property
    def _clock(self) -> dict[str, str]:
        return {"SOURCE_DATE_EPOCH": str(self.epoch)}

    def fat(self, files: Mapping[str, Path]) -> None:
        """FAT32 with these files, by path; directories are made as needed."""
        part = self.partition
        run(
            [
                "mkfs.vfat",
                "--invariant",
                "-F32",
                "-s8",
                f"-n{part.label}",
                f"-i{derive.serial(self.seed, part.label)}",
                f"-h{part.first}",
                f"--offset={part.first}",
                self.disk,
                str(part.bytes // 1024),
            ],
            env=self._clock,
        )
        at = f"{self.disk}@@{part.first * SECTOR}"
        env = {**_ENV, **self._clock}
        folders = {str(above) for path in files for above in Path(path).parents} - {"."}
        run(["mmd", "-i", at, *(f"::/{folder}" for folder in sorted(folders))], env=env)
        for path in sorted(files):
            run(["mcopy", "-i", at, files[path], f"::/{path}"], env=env)

    def ext4(self) -> None:
        """An empty ext4 that may grow a thousandfold; blocks of 4 KiB from the start."""
        part, name = self.partition, self.partition.label
        journal = _JOURNAL_MIB if part.bytes > 8 * _JOURNAL_MIB << 20 else 4
        options = ",".join(
            (
                f"offset={part.offset}",
                f"hash_seed={derive.uuid(self.seed, f'{name} hash seed')}",
                "lazy_itable_init=1",
                "lazy_journal_init=1",
                "nodiscard",
                "root_owner=0:0",
            )
        )
        run(
            [
                "mkfs.ext4",
                "-q",
                "-F",
                "-b4096",
                "-i16384",
                "-I256",
                "-m0",
                f"-Jsize={journal}",
                f"-L{name}",
                f"-U{derive.uuid(self.seed, f'{name} file system')}",
                f"-E{options}",
                self.disk,
                str(part.bytes // 4096),
            ],
            env=self._clock,
        )
