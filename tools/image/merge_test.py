from __future__ import annotations

from dataclasses import replace

import pytest

from tools.image.errors import TreeError
from tools.image.merge import Package, drop, merge
from tools.image.nodes import Kind, Node, directory, file, symlink


def package(name: str, *nodes: Node, replaces: tuple[str, ...] = ()) -> Package:
    own = tuple(replace(node, origin=name) for node in nodes)
    return Package(name, own, frozenset(replaces))


A = file("usr/bin/x", b"a", "")
B = file("usr/bin/x", b"b", "")


@pytest.mark.parametrize(
    ("packages", "conflicts", "owner"),
    [
        pytest.param([package("a", A), package("b", A)], {}, "a", id="the same file"),
        pytest.param([package("a", A), package("b", B, replaces=("a",))], {}, "b", id="replaces"),
        pytest.param([package("a", A, replaces=("b",)), package("b", B)], {}, "a", id="replaced"),
        pytest.param([package("a", A), package("b", B)], {"usr/bin/x": "a"}, "a", id="decided: a"),
        pytest.param([package("a", A), package("b", B)], {"usr/bin/x": "b"}, "b", id="decided: b"),
    ],
)
def test_one_owner(packages: list[Package], conflicts: dict[str, str], owner: str) -> None:
    for ordered in (packages, packages[::-1]):
        assert merge(ordered, conflicts)["usr/bin/x"].origin == owner


@pytest.mark.parametrize(
    ("packages", "conflicts", "says"),
    [
        pytest.param(
            [package("a", A), package("b", B)],
            {},
            r"/usr/bin/x: a has file 0644 0:0, b has file 0644 0:0",
            id="two files",
        ),
        pytest.param(
            [package("a", A), package("b", symlink("usr/bin/x", "y", ""))],
            {},
            "b has symlink 0777 0:0 y",
            id="file and link",
        ),
        pytest.param(
            [package("a", directory("v", "", 0o755)), package("b", directory("v", "", 0o700))],
            {},
            "/v: a has directory 0755 0:0, b has directory 0700",
            id="directories of different modes",
        ),
        pytest.param([package("a", A)], {"usr/bin/x": "a"}, "not needed", id="idle decision"),
        pytest.param(
            [package("a", symlink("d", "e", "")), package("b", file("d/f", b"", ""))],
            {},
            r"/d/f \(b\) lies below /d \(a\)",
            id="below a link",
        ),
    ],
)
def test_contradictions(packages: list[Package], conflicts: dict[str, str], says: str) -> None:
    with pytest.raises(TreeError, match=says):
        merge(packages, conflicts)


def test_base_files_knows_directories() -> None:
    ours = package("base-files", directory("tmp", "", 0o1777))
    other = package("a", directory("tmp", "", 0o755))
    assert merge([other, ours], {})["tmp"].mode == 0o1777


TREE = ["usr", "usr/share", "usr/share/doc", "usr/share/doc/a", "usr/share/b", "usr/empty"]


@pytest.mark.parametrize(
    ("patterns", "left"),
    [
        pytest.param([], {"usr/share/doc/a", "usr/share/b", "usr/empty"}, id="nothing"),
        pytest.param(["usr/share/doc/*"], {"usr/share/b", "usr/empty"}, id="emptied goes too"),
        pytest.param(["usr/share/*"], {"usr/empty"}, id="deep"),
        pytest.param(["usr/*", "!*/doc/a"], {"usr/share/doc/a"}, id="kept by an exception"),
        pytest.param(["*"], set(), id="all"),
    ],
)
def test_drop(patterns: list[str], left: set[str]) -> None:
    tree = {path: directory(path, "p") for path in ("", *TREE)}
    for path in ("usr/share/doc/a", "usr/share/b"):
        tree[path] = file(path, b"", "p")
    drop(tree, patterns)
    full = {path for path in tree if path not in ("", "usr", "usr/share", "usr/share/doc")}
    assert full == left
    assert ("usr/share/doc" in tree) == ("usr/share/doc/a" in left)


def test_idle_patterns_are_told() -> None:
    tree = {"a": file("a", b"", "p")}
    assert drop(tree, ["x*", "a"]).idle == ("x*",)


def test_links_that_stay_keep_the_content() -> None:
    tree = {
        "a": file("a", b"data", "p"),
        "b": Node("b", Kind.HARDLINK, 0o644, target="a"),
        "c": Node("c", Kind.HARDLINK, 0o644, target="a"),
    }
    drop(tree, ["a"])
    assert tree["b"].kind is Kind.FILE and tree["b"].blob is not None
    assert tree["c"].target == "b"
