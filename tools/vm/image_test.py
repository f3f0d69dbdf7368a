from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tools.vm.errors import VmError
from tools.vm.image import Image, overlay, unpacked
from tools.vm.programs import Programs
from tools.vm.spec import Direct

FAKE_ZSTD = """#!/bin/sh
while [ "$1" != -o ]; do source=$1; shift; done
cat "$source" >"$2"
"""
FAKE_QEMU_IMG = """#!/bin/sh
while [ "$#" -gt 1 ] && [ "${1%.qcow2}" = "$1" ]; do shift; done
echo "$@" >"$1"
"""
LOADER = '#!/bin/sh\nprogram=$6; shift 6; . "$program"\n'


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    root = tmp_path / "tree"
    for name, text in (
        ("usr/bin/zstd", FAKE_ZSTD),
        ("usr/bin/qemu-img", FAKE_QEMU_IMG),
        ("usr/lib64/ld-linux-x86-64.so.2", LOADER),
    ):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return Programs(root)


@pytest.fixture
def built(tmp_path: Path) -> Path:
    directory = tmp_path / "image"
    directory.mkdir()
    (directory / "disk.raw.zst").write_bytes(b"disk")
    (directory / "bzImage").write_bytes(b"kernel")
    (directory / "uki.json").write_text(json.dumps({"cmdline": "console=ttyS0 ro\n"}))
    return directory


def test_parts_are_found(built: Path) -> None:
    image = Image.load(built)
    assert image.direct() == Direct(built / "bzImage", "console=ttyS0 ro")
    assert image.slot is None


def test_without_a_disk_there_is_no_image(tmp_path: Path) -> None:
    with pytest.raises(VmError, match=r"no disk\.raw\.zst") as caught:
        Image.load(tmp_path)
    assert "strake build" in caught.value.hint


def test_a_direct_boot_needs_a_kernel(built: Path) -> None:
    (built / "bzImage").unlink()
    with pytest.raises(VmError, match="no bzImage"):
        Image.load(built).direct()


@pytest.mark.parametrize("text", ["", "[]", "{}"], ids=["empty", "list", "no-cmdline"])
def test_a_bad_description_is_named(built: Path, text: str) -> None:
    (built / "uki.json").write_text(text)
    with pytest.raises(VmError, match=r"uki\.json holds no command line"):
        Image.load(built)


def test_a_disk_is_unpacked_once(built: Path, tmp_path: Path, programs: Programs) -> None:
    image, cache = Image.load(built), tmp_path / "cache"
    raw = unpacked(image, cache, programs)
    assert raw.read_bytes() == b"disk"
    inode = raw.stat().st_ino
    assert unpacked(image, cache, programs).stat().st_ino == inode


def test_old_disks_go(built: Path, tmp_path: Path, programs: Programs) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for age in range(6):
        (cache / f"{age}.raw").touch()
        os.utime(cache / f"{age}.raw", (1000 - age, 1000 - age))
    newest = unpacked(Image.load(built), cache, programs)
    assert {path.name for path in cache.glob("*.raw")} == {newest.name, "0.raw", "1.raw", "2.raw"}


def test_a_raw_disk_is_taken_as_it_is(built: Path, tmp_path: Path, programs: Programs) -> None:
    (built / "disk.raw.zst").rename(built / "disk.raw")
    assert unpacked(Image.load(built), tmp_path / "cache", programs) == built / "disk.raw"


def test_an_overlay_names_its_base_and_size(tmp_path: Path, programs: Programs) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(4096))
    disk = overlay(base, tmp_path / "o.qcow2", programs, 8192)
    assert disk.path.read_text() == f"{disk.path} 8192\n"


def test_a_disk_does_not_shrink(tmp_path: Path, programs: Programs) -> None:
    base = tmp_path / "base.raw"
    base.write_bytes(bytes(4096))
    with pytest.raises(VmError, match="smaller than its image"):
        overlay(base, tmp_path / "o.qcow2", programs, 1024)
