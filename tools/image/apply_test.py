from __future__ import annotations

from dataclasses import replace

import pytest

from tools.image import apply
from tools.image.config import parse
from tools.image.errors import ImageError
from tools.image.nodes import Kind, Node, content, directory, file, symlink, with_parents
from tools.image.sysusers import Accounts, User


def tree_of(*nodes: Node) -> dict[str, Node]:
    tree: dict[str, Node] = {}
    for node in nodes:
        with_parents(tree, node)
    return tree


ACCOUNTS = Accounts(
    {"root": User("root", 0, 0), "bus": User("bus", 110, 110)}, {"root": 0, "bus": 9}
)


def test_links_directories_and_copies() -> None:
    tree = tree_of(file("usr/share/p", b"profile", "p"), directory("home", "p"))
    text = """
[[alternative]]
path = "/home"
target = "var/home"
reason = "r"
[[directory]]
path = "/etc/x/y"
reason = "r"
[[copy]]
path = "/etc/profile"
from = "/usr/share/p"
reason = "r"
"""
    apply.settle(tree, parse(text, "t"))
    assert (tree["home"].kind, tree["home"].target) == (Kind.SYMLINK, "var/home")
    assert tree["etc/x/y"].kind is Kind.DIRECTORY
    assert content(tree, "etc/profile") == b"profile"


def test_the_overlay_wins() -> None:
    tree = tree_of(file("etc/a", b"theirs", "p"))
    apply.overlay(tree, [file("etc/a", b"ours", "us"), directory("etc", "us", 0o700)])
    assert content(tree, "etc/a") == b"ours"
    assert tree["etc"].mode == 0o755


def test_a_directory_without_files_gives_way() -> None:
    tree = tree_of(directory("usr/local/bin", "p"))
    apply.overlay(tree, [symlink("usr/local", "../var/local", "us")])
    assert sorted(tree) == ["", "usr", "usr/local"]


def test_a_directory_with_files_does_not() -> None:
    tree = tree_of(file("opt/a/b", b"", "p"))
    with pytest.raises(ImageError, match=r"/opt of us .* has /opt/a/b \(p\)"):
        apply.overlay(tree, [symlink("opt", "var/opt", "us")])


def test_other_names_keep_the_content() -> None:
    tree = tree_of(file("a", b"old", "p"), Node("b", Kind.HARDLINK, 0o644, target="a"))
    apply.overlay(tree, [file("a", b"new", "us")])
    assert (content(tree, "a"), content(tree, "b")) == (b"new", b"old")


def test_owners_by_name_win_over_numbers() -> None:
    node = replace(file("x", b"", "p"), uid=5, gid=6, owner=("bus", "bus"))
    tree = tree_of(node)
    apply.own(tree, ACCOUNTS, parse("", "t"))
    assert (tree["x"].uid, tree["x"].gid) == (110, 9)


def test_all_strangers_are_named() -> None:
    tree = tree_of(
        replace(file("x", b"", "p"), owner=("who", "root")),
        replace(file("y", b"", "q"), owner=("root", "what")),
    )
    with pytest.raises(ImageError, match=r"(?s)/x \(p\) belongs to who:root.*/y \(q\)"):
        apply.own(tree, ACCOUNTS, parse("", "t"))


def test_modes_from_the_table() -> None:
    tree = tree_of(file("etc/s", b"", "p"))
    row = '[[mode]]\npath = "/etc/s"\nmode = "0440"\nowner = "root:bus"\nreason = "r"\n'
    apply.own(tree, ACCOUNTS, parse(row, "t"))
    assert (tree["etc/s"].mode, tree["etc/s"].gid) == (0o440, 9)
    with pytest.raises(ImageError, match="no such path"):
        apply.own(tree_of(file("other", b"", "p")), ACCOUNTS, parse(row, "t"))


@pytest.mark.parametrize(
    ("target", "allowed", "lines"),
    [
        pytest.param("real", [], 0, id="leads somewhere"),
        pytest.param("/dev/null", [], 0, id="exists at run time"),
        pytest.param("../run/x", [], 0, id="relative into run"),
        pytest.param("gone", [], 1, id="missing"),
        pytest.param("gone", ["etc/l*"], 0, id="allowed"),
        pytest.param("real", ["etc/l*"], 1, id="allowed in vain"),
        pytest.param("link", [], 1, id="itself"),
    ],
)
def test_dangling_links(target: str, allowed: list[str], lines: int) -> None:
    tree = tree_of(file("etc/real", b"", "p"), symlink("etc/link", target, "p"))
    assert len(apply.dangling(tree, allowed)) == lines
