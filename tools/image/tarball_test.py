from __future__ import annotations

import hashlib
import random
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.image import tarball
from tools.image.nodes import Blob, Kind, Node, directory, file, symlink, with_parents

EPOCH = 1_700_000_000


def sample() -> dict[str, Node]:
    tree: dict[str, Node] = {}
    for node in (
        directory("", "p"),
        file("usr/bin/x", b"x" * 700, "p", 0o4755),
        file("usr/bin-extra", b"", "p"),
        replace(file("etc/shadow", b"s", "p", 0o640), gid=42, owner=("root", "shadow")),
        symlink("bin", "usr/bin", "p"),
        file("usr/lib/" + "long/" * 30 + "ü", b"u" * 512, "p"),
        Node("usr/bin/y", Kind.HARDLINK, 0o755, origin="p", target="usr/bin/x"),
        replace(file("usr/bin/ping", b"p", "p"), xattrs=(("security.capability", b"\1\0\xff"),)),
    ):
        with_parents(tree, node)
    return tree


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_order_of_inputs_does_not_matter(tmp_path: Path) -> None:
    tarball.write(sample(), tmp_path / "a", EPOCH)
    for seed in range(5):
        items = list(sample().items())
        random.Random(seed).shuffle(items)
        tarball.write(dict(items), tmp_path / "b", EPOCH)
        assert digest(tmp_path / "b") == digest(tmp_path / "a")


def test_which_name_of_a_hard_link_holds_the_content_does_not_matter(tmp_path: Path) -> None:
    other = sample()
    x = other["usr/bin/x"]
    other["usr/bin/y"] = replace(x, path="usr/bin/y")
    other["usr/bin/x"] = Node("usr/bin/x", Kind.HARDLINK, 0o755, origin="p", target="usr/bin/y")
    tarball.write(sample(), tmp_path / "a", EPOCH)
    tarball.write(other, tmp_path / "b", EPOCH)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")


def test_any_tar_program_reads_it(tmp_path: Path) -> None:
    tarball.write(sample(), tmp_path / "a", EPOCH)
    with tarfile.open(tmp_path / "a") as tar:
        members = {member.name: member for member in tar}
        assert {member.mtime for member in members.values()} == {EPOCH}
        assert members["usr/bin/x"].mode == 0o4755
        assert (members["etc/shadow"].gid, members["etc/shadow"].uname) == (42, "")
        assert members["usr/bin/y"].linkname == "usr/bin/x"
        stream = tar.extractfile("usr/lib/" + "long/" * 30 + "ü")
        assert stream is not None and stream.read() == b"u" * 512
        names = list(members)
        assert names.index("usr") < names.index("usr/bin") < names.index("usr/bin/x")


def test_an_index_brings_the_tree_back(tmp_path: Path) -> None:
    path = tmp_path / "a"
    written = tarball.write(sample(), path, EPOCH)
    (tmp_path / "index").write_text(tarball.dump_index(written))
    loaded = tarball.load_index(tmp_path / "index", path)
    assert loaded == written
    blob = loaded.tree()["usr/bin/x"].blob
    assert blob is not None and blob.read() == b"x" * 700
    assert tarball.write(loaded.tree(), tmp_path / "b", EPOCH, loaded)
    assert digest(tmp_path / "b") == digest(path)


PATHS = ["a", "b/c", "b/d", "usr/bin/x", "usr/bin/y", "usr/lib/z"]


@given(
    st.dictionaries(st.sampled_from(PATHS), st.binary(max_size=1100)),
    st.sets(st.sampled_from(["a", "b/c", "bin", "usr/bin/x", "etc/shadow"])),
)
def test_copying_from_a_base_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, extra: dict[str, bytes], without: set[str]
) -> None:
    folder = tmp_path_factory.mktemp("tar")
    base = tarball.write(sample(), folder / "base", EPOCH)
    tree = {p: n for p, n in base.tree().items() if p not in without}
    if "usr/bin/x" in without:
        tree.pop("usr/bin/y", None)
    for path, data in extra.items():
        if tree.get(path, directory(path, "q")).kind is not Kind.HARDLINK:
            with_parents(tree, file(path, data, "q"))
    tree = {p: n for p, n in tree.items() if n.kind is not Kind.HARDLINK or n.target in tree}
    tarball.write(tree, folder / "quick", EPOCH, base)
    plain = {p: replace(n, blob=Blob.of(n.blob.read())) if n.blob else n for p, n in tree.items()}
    tarball.write(plain, folder / "slow", EPOCH)
    assert digest(folder / "quick") == digest(folder / "slow")


def test_a_manifest_has_no_places(tmp_path: Path) -> None:
    archive = tarball.write(sample(), tmp_path / "a", EPOCH)
    text = tarball.manifest(placed.node for placed in archive.members.values())
    assert '"at"' not in text and '"path":"usr/bin/x"' in text
