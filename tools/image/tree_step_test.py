"""A whole root tree from a handful of files, as the step makes it inside the sandbox."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tools.image import bytecode, tarball, tree_step
from tools.image.errors import TreeError
from tools.image.nodes import Node, directory, file, symlink, with_parents
from tools.sandbox.guest import Step

EPOCH = 1_700_000_000
SYSUSERS = "g root 0\nu root 0:0 - /root /bin/sh\ng shadow 42\ng bus 9\nu bus 9:9\n"


def step(folder: Path, *extra: Node, tree_toml: str = "", payload: bool = False) -> Step:
    base: dict[str, Node] = {}
    for node in (
        directory("", "base-files"),
        file("usr/bin/tool", b"#!/bin/sh\n", "tools", 0o4755),
        replace(file("etc/bus.key", b"k", "bus", 0o640), uid=77, owner=("root", "bus")),
        file("usr/lib/systemd/system/a.service", b"[Install]\nWantedBy=m.target\n", "a"),
        symlink("bin", "usr/bin", "base-files"),
        *extra,
    ):
        with_parents(base, node)
    (folder / "base").mkdir(parents=True)
    archive = tarball.write(base, folder / "base/base.tar", EPOCH)
    (folder / "base/base.json").write_text(tarball.dump_index(archive))
    overlay = folder / "overlay/usr/lib/sysusers.d"
    overlay.mkdir(parents=True)
    (overlay / "us.conf").write_text(SYSUSERS)
    (folder / "tree.toml").write_text(tree_toml)
    (folder / "setuid.toml").write_text('[[drop]]\npath = "/usr/bin/tool"\nreason = "r"\n')
    inputs = {name: folder / name for name in ("base", "overlay", "tree.toml", "setuid.toml")}
    inputs |= {"brand": Path("os/brands/strake"), "version": Path("release/version.toml")}
    if payload:
        (folder / "python/services").mkdir(parents=True)
        (folder / "python/services/x.py").write_text("X = 1\n")
        (folder / "python/services/x_test.py").write_text("def (\n")
        inputs["python"] = folder / "python"
    for name in ("out", "build"):
        (folder / name).mkdir()
    return Step("t", {}, inputs, {}, (), folder / "out", folder / "build", EPOCH, 1)


def members(made: Step) -> Mapping[str, tarfile.TarInfo]:
    with tarfile.open(made.out / "root.tar") as tar:
        return {member.name: member for member in tar}


def read(made: Step, path: str) -> str:
    with tarfile.open(made.out / "root.tar") as tar:
        stream = tar.extractfile(path)
        assert stream is not None
        return stream.read().decode()


def test_a_tree(tmp_path: Path) -> None:
    made = step(tmp_path)
    tree_step.build(made)
    found = members(made)
    assert found["usr/bin/tool"].mode == 0o755
    assert (found["etc/bus.key"].uid, found["etc/bus.key"].gid) == (0, 9)
    assert (found["etc/shadow"].mode, found["etc/shadow"].gid) == (0o640, 42)
    link = found["etc/systemd/system/m.target.wants/a.service"]
    assert link.linkname == "/usr/lib/systemd/system/a.service"
    assert "bus:x:9:9::/:/usr/sbin/nologin\n" in read(made, "etc/passwd")
    assert read(made, "etc/shadow").startswith("root:!*:19675:")
    assert 'ID="strake"\n' in read(made, "usr/lib/os-release")
    manifest = {row["path"]: row for row in json.loads((made.out / "tree.json").read_text())}
    assert manifest["usr/bin/tool"]["origin"] == "tools"
    assert set(manifest) == set(found) - {"."} | {""}


def test_the_same_tree_again(tmp_path: Path) -> None:
    digests = set()
    for name in ("a", "b"):
        made = step(tmp_path / name, payload=True)
        tree_step.build(made)
        digests.add(hashlib.sha256((made.out / "root.tar").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_our_python_without_its_tests(tmp_path: Path) -> None:
    made = step(tmp_path, payload=True)
    tree_step.build(made)
    below = {path for path in members(made) if path.startswith(f"{tree_step.PAYLOAD}/services/")}
    source = f"{tree_step.PAYLOAD}/services/x.py"
    cache = bytecode.cache_path(source)
    assert below == {source, cache, cache.rpartition("/")[0]}


@pytest.mark.parametrize(
    ("node", "says"),
    [
        pytest.param(file("usr/bin/su", b"", "su", 0o4755), r"/usr/bin/su \(su\)", id="set-uid"),
        pytest.param(symlink("etc/l", "gone", "p"), r"/etc/l \(p\): leads to gone", id="dangling"),
    ],
)
def test_what_must_not_be_in_an_image(tmp_path: Path, node: Node, says: str) -> None:
    with pytest.raises(TreeError, match=says):
        tree_step.build(step(tmp_path, node))
