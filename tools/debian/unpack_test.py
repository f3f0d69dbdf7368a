from __future__ import annotations

import lzma
import os
import tarfile
from pathlib import Path

import pytest

from tools.debian import fakes, unpack
from tools.debian.deb import Deb
from tools.debian.errors import DebError
from tools.debian.fakes import Member, directory, hard_link, symlink

CONTROL = {"Package": "a", "Version": "1", "Architecture": "amd64"}


def _deb(tmp_path: Path, members: list[Member], name: str = "a", suffix: str = ".xz") -> Deb:
    path = tmp_path / f"{name}.deb"
    path.write_bytes(fakes.deb({**CONTROL, "Package": name}, members, suffix))
    return Deb(path)


def _unpack(tmp_path: Path, *debs: Deb) -> tuple[Path, unpack.Unpacker]:
    tree = tmp_path / "tree"
    tree.mkdir()
    unpacker = unpack.Unpacker(tree, 7, skip=("usr/share/doc/",))
    for deb in debs:
        unpacker.add(deb, deb.path.stem)
    return tree, unpacker


@pytest.mark.parametrize("suffix", [".xz", ".gz", ""])
def test_reads_every_compression(suffix: str, tmp_path: Path) -> None:
    content = os.urandom(300_000) + bytes(2_000_000)
    deb = _deb(tmp_path, [Member("./usr/bin/a", content)], suffix=suffix)
    assert deb.control() == {key.lower(): value for key, value in CONTROL.items()}
    assert list(deb.control_files()) == ["control"]
    tree, _ = _unpack(tmp_path, deb)
    assert (tree / "usr/bin/a").read_bytes() == content


def test_lays_out_files_links_and_directories(tmp_path: Path) -> None:
    members = [
        directory("./usr"),
        Member("./usr/bin/a", b"a", mode=0o755),
        hard_link("./usr/bin/b", "./usr/bin/a"),
        symlink("./usr/bin/c", "a"),
        directory("./var/empty"),
    ]
    tree, unpacker = _unpack(tmp_path, _deb(tmp_path, members))
    assert (tree / "usr/bin/a").samefile(tree / "usr/bin/b")
    assert (tree / "usr/bin/c").readlink() == Path("a")
    assert (tree / "var/empty").is_dir()
    assert (tree / "usr/bin/a").stat().st_mode & 0o7777 == 0o555
    assert (tree / "usr/bin/a").stat().st_mtime == 7
    assert sorted(entry.path for entry in unpacker.entries()) == [
        "usr",
        "usr/bin",
        "usr/bin/a",
        "usr/bin/b",
        "usr/bin/c",
        "var",
        "var/empty",
    ]


def test_merges_usr(tmp_path: Path) -> None:
    members = [directory("./bin"), Member("./bin/a", b"a"), Member("./lib64/ld.so", b"ld")]
    tree, _ = _unpack(tmp_path, _deb(tmp_path, members))
    assert (tree / "usr/bin/a").is_file()
    assert (tree / "usr/lib64/ld.so").is_file()
    assert not (tree / "bin").exists()


def test_keeps_the_links_of_a_merged_usr(tmp_path: Path) -> None:
    base = _deb(tmp_path, [symlink("./bin", "usr/bin")], "base-files")
    tree, _ = _unpack(tmp_path, _deb(tmp_path, [Member("./bin/a", b"a")]), base)
    assert (tree / "bin/a").read_bytes() == b"a"


def test_leaves_out_devices_documentation_and_set_id_bits(tmp_path: Path) -> None:
    members = [
        Member("./dev/null", kind=tarfile.CHRTYPE),
        Member("./usr/share/doc/a/copyright", b"x"),
        Member("./usr/bin/su", b"x", mode=0o6755),
    ]
    tree, unpacker = _unpack(tmp_path, _deb(tmp_path, members))
    assert not (tree / "dev/null").exists()
    assert not unpacker.has("usr/share/doc/a/copyright")
    assert (tree / "usr/bin/su").stat().st_mode & 0o7777 == 0o555


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([Member("../outside", b"x")], "outside the tree"),
        ([Member("./usr/../../outside", b"x")], "outside the tree"),
        ([Member("/outside", b"x")], "outside the tree"),
        ([symlink("./usr/l", "/"), Member("./usr/l/outside", b"x")], "different things at usr/l"),
        ([symlink("./usr/l", ".."), directory("./usr/l")], "different things at usr/l"),
        ([hard_link("./usr/h", "../../outside")], "outside the tree"),
        ([hard_link("./usr/h", "/etc/passwd")], "outside the tree"),
        ([hard_link("./usr/h", "./usr/none")], "no file of its own"),
        ([symlink("./s", "/etc/passwd"), hard_link("./h", "./s")], "no file of its own"),
        ([Member("./f", b"x"), Member("./f/g", b"x")], "different things at f"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[-1].name,
)
def test_never_leaves_the_tree(members: list[Member], message: str, tmp_path: Path) -> None:
    (tmp_path / "outside").write_bytes(b"mine")
    with pytest.raises(DebError, match=message):
        _unpack(tmp_path, _deb(tmp_path, members))
    assert (tmp_path / "outside").read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.deb", "outside", "tree"]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Member("./x", b"1"), Member("./x", b"2")),
        (Member("./x", b"1"), Member("./x", b"1", mode=0o755)),
        (Member("./x", b"1"), symlink("./x", "y")),
        (symlink("./x", "y"), symlink("./x", "z")),
        (directory("./x"), Member("./x", b"1")),
    ],
    ids=["content", "mode", "link and file", "targets", "directory and file"],
)
def test_two_packages_cannot_hold_different_things(
    first: Member, second: Member, tmp_path: Path
) -> None:
    debs = [_deb(tmp_path, [first], "one"), _deb(tmp_path, [second], "two")]
    with pytest.raises(DebError, match="packages one and two hold different things at x"):
        _unpack(tmp_path, *debs)


@pytest.mark.parametrize("same", [Member("./x", b"1"), symlink("./x", "y"), directory("./x")])
def test_two_packages_may_hold_the_same(same: Member, tmp_path: Path) -> None:
    debs = [_deb(tmp_path, [same], "one"), _deb(tmp_path, [same], "two")]
    _, unpacker = _unpack(tmp_path, *debs)
    assert [entry.path for entry in unpacker.entries()] == ["x"]


GOOD = fakes.deb(CONTROL, [Member("./usr/bin/a", os.urandom(5000))])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no ar archive"),
        (b"#!/bin/sh\n", "no ar archive"),
        (b"!<arch>\n", "no debian-binary"),
        (b"!<arch>\nxyz", "bad ar header"),
        (GOOD[:-100], "truncated inside data.tar.xz"),
        (fakes.ar([("debian-binary", b"2.0\n")]), "0 data.tar members"),
        (fakes.ar([("debian-binary", b""), ("data.tar.br", b"")]), "unknown way: .br"),
        (fakes.ar([("debian-binary", b""), ("data.tar.xz", b"junk" * 9)]), "is damaged"),
        (
            fakes.ar([("debian-binary", b""), ("data.tar.xz", lzma.compress(GOOD)[:-40])]),
            "is damaged",
        ),
        (fakes.ar([("debian-binary", b""), ("data.tar", b"x" * 1024)]), "is damaged"),
    ],
)
def test_a_damaged_file_is_named(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.deb"
    path.write_bytes(content)
    with pytest.raises(DebError, match=rf"bad\.deb.*{message}"):
        _unpack(tmp_path, Deb(path))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DebError, match="cannot read"):
        Deb(tmp_path / "none.deb")
