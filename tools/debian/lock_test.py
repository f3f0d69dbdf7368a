from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tools.debian import lock as locks
from tools.debian.errors import LockError
from tools.debian.lock import Lock, LockedPackage, LockedSuite

HASH = "ab" * 32


def _package(name: str, version: str = "1", sets: tuple[str, ...] = ("image",)) -> LockedPackage:
    pool = f"debian/pool/main/{name}_{version}_amd64.deb"
    return LockedPackage(name, version, "amd64", "stable", pool, HASH, 10, sets)


LOCK = Lock(
    epoch=5,
    suites=(LockedSuite("stable", HASH, 5),),
    packages=(_package("bash"), _package("curl", sets=("image", "vm"))),
    wanted={"image": "x", "vm": "y"},
)


def test_reads_back_what_it_writes() -> None:
    assert locks.parse(locks.dump(LOCK), "lock") == LOCK


def test_the_text_does_not_depend_on_the_order() -> None:
    assert locks.dump(replace(LOCK, packages=LOCK.packages[::-1])) == locks.dump(LOCK)


def test_has_a_line_for_each_package() -> None:
    lines = [line for line in locks.dump(LOCK).splitlines() if '"name": "curl"' in line]
    assert len(lines) == 1
    assert json.loads(lines[0].rstrip(","))["sets"] == ["image", "vm"]


def test_subset_has_the_packages_of_one_set() -> None:
    assert [package.name for package in LOCK.subset("vm")] == ["curl"]
    assert LOCK.sets == ("image", "vm")


def test_unknown_set_names_the_others() -> None:
    with pytest.raises(LockError, match="no set 'disk'; it has image, vm"):
        LOCK.subset("disk")


def test_subset_files_read_back(tmp_path: Any) -> None:
    path = tmp_path / "vm.json"
    path.write_text(locks.dump_packages(LOCK.packages))
    assert locks.load_packages(path) == LOCK.packages


def _bend(change: Callable[[dict[str, Any]], object]) -> str:
    data = json.loads(locks.dump(LOCK))
    change(data)
    return json.dumps(data)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["packages"][0].pop("sha256"), "package bash: field sha256 is missing"),
        (lambda d: d["packages"][0].update(sha256="xyz"), "package bash: sha256 is not 64 hex"),
        (lambda d: d["packages"][0].update(sha256=HASH.upper()), "sha256 is not 64 hex"),
        (lambda d: d["packages"][1].update(name="bash"), "package bash is there twice"),
        (lambda d: d["packages"][1].update(name="../x"), "name is not a package name"),
        (lambda d: d["packages"][1].pop("name"), "a package without name"),
        (lambda d: d["packages"][1].update(size="10"), "package curl: size is not a number"),
        (lambda d: d["packages"][1].update(size=-1), "package curl: size is not a number"),
        (lambda d: d["packages"][1].update(size=True), "package curl: size is not a number"),
        (lambda d: d["packages"][1].update(sets=[]), "package curl: sets is not a list"),
        (lambda d: d["packages"][1].update(version="1 2"), "package curl: not a Debian version"),
        (lambda d: d["packages"][1].update(pool="debian/../x.deb"), "package curl: pool is not"),
        (lambda d: d["packages"][1].update(pool="http://x/y.deb"), "package curl: pool is not"),
        (lambda d: d["packages"].append("x"), "a package without name: is not an object"),
        (lambda d: d["suites"][0].update(date="x"), "suite stable: date is not a number"),
        (lambda d: d.pop("epoch"), "field epoch is missing"),
        (lambda d: d.update(version=2), "has format 2"),
        (lambda d: d.update(packages=[]), "packages is empty"),
        (lambda d: d.update(packages={}), "packages is not a list"),
    ],
)
def test_refuses_in_one_line_that_names_the_entry(
    change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(LockError, match=re.escape(message)) as caught:
        locks.parse(_bend(change), "packages.lock")
    assert "\n" not in caught.value.message
    assert "packages.lock" in caught.value.message
    assert "./strake lock" in caught.value.hint


def test_refuses_text_that_is_no_json() -> None:
    with pytest.raises(LockError, match=r"packages\.lock is not JSON"):
        locks.parse("{", "packages.lock")


def test_says_so_when_the_file_is_not_there(tmp_path: Any) -> None:
    with pytest.raises(LockError, match="no such file"):
        locks.load(tmp_path / "packages.lock")


def test_changes_between_locks() -> None:
    before = replace(LOCK, packages=(*LOCK.packages, _package("zstd")))
    zstd = _package("zstd", sets=("image", "vm"))
    after = replace(LOCK, packages=(_package("bash", "0.9"), _package("dash"), zstd))
    assert [str(change) for change in locks.changes(before, after)] == [
        "bash 1 -> 0.9 (older)",
        "curl 1 (gone)",
        "dash 1 (new)",
        "zstd 1 (now in image, vm)",
    ]
