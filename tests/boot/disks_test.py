from __future__ import annotations

import os
from pathlib import Path
from uuid import UUID

import pytest

from tests.boot.disks import RawDisk, Release, retargeted, sparse_copy
from tools.image import gpt
from tools.vm.programs import Programs

OLD = Release(Path("/s"), b"", "ab" * 32, "cd" * 32, 0)


def test_a_command_line_is_retargeted() -> None:
    words = f"PARTUUID={OLD.partition} sha256 {OLD.root_hash} {OLD.salt} end".encode()
    new = retargeted(b"MZ" + words, OLD, "12" * 32, "34" * 32)
    partition = UUID("12" * 16)
    assert new == b"MZ" + f"PARTUUID={partition} sha256 {'12' * 32} {'34' * 32} end".encode()


def test_another_image_is_refused() -> None:
    with pytest.raises(ValueError, match="does not hold"):
        retargeted(b"MZ", OLD, "12" * 32, "34" * 32)


def test_another_release_verifies_the_same_files(tmp_path: Path) -> None:
    slot = tmp_path / "root.slot"
    slot.write_bytes(b"\x07" * 8192 + b"old tree")
    words = f"{OLD.partition} {OLD.root_hash} {OLD.salt}".encode()
    release = Release(slot, words, OLD.root_hash, OLD.salt, 8192)
    other = release.other(tmp_path)
    assert other.slot.read_bytes()[:8192] == b"\x07" * 8192
    assert other.root_hash != release.root_hash
    assert other.uki == f"{other.partition} {other.root_hash} {other.salt}".encode()
    assert slot.read_bytes().endswith(b"old tree")


@pytest.fixture
def disk(tmp_path: Path) -> RawDisk:
    parts = (
        gpt.Partition(UUID(int=1), UUID(int=2), 40, 47, "ESP"),
        gpt.Partition(UUID(int=1), UUID(int=3), 48, 63, "ROOT-A"),
    )
    start, end = gpt.encode(gpt.Table(UUID(int=9), 128, parts))
    path = tmp_path / "disk.raw"
    path.write_bytes(start.ljust(128 * 512 - len(end), b"\0") + end)
    return RawDisk(path, Programs(Path("/")))


def test_bytes_of_a_partition(disk: RawDisk) -> None:
    disk.write("ROOT-A", b"abc", 512)
    disk.flip("ROOT-A", 513)
    assert disk.path.read_bytes()[49 * 512 :][:4] == b"acc\0"
    disk.wipe("ROOT-A")
    assert not any(disk.path.read_bytes()[48 * 512 : 64 * 512])
    with pytest.raises(ValueError, match="outside"):
        disk.flip("ROOT-A", 16 * 512)


def test_holes_stay_holes(tmp_path: Path) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    with source.open("wb") as file:
        file.seek(8 << 20)
        file.write(b"x" * 4096)
        file.truncate(32 << 20)
    sparse_copy(source, target)
    assert target.stat().st_size == 32 << 20
    assert target.stat().st_blocks * 512 < 1 << 20
    with target.open("rb") as file:
        assert os.pread(file.fileno(), 4097, 8 << 20) == b"x" * 4096 + b"\0"
