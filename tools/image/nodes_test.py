from __future__ import annotations

from pathlib import Path

import pytest

from tools.image.errors import ImageError
from tools.image.nodes import (
    Kind,
    Node,
    content,
    directory,
    file,
    from_directory,
    parents,
    real_path,
    symlink,
    with_parents,
)


def tree_of(*nodes: Node) -> dict[str, Node]:
    tree: dict[str, Node] = {}
    for node in nodes:
        with_parents(tree, node)
    return tree


@pytest.mark.parametrize(
    ("path", "real"),
    [
        pytest.param("usr/bin/x", "usr/bin/x", id="no links"),
        pytest.param("bin/x", "usr/bin/x", id="through a directory link"),
        pytest.param("etc/a", "usr/bin/x", id="absolute"),
        pytest.param("etc/b", "usr/bin/x", id="relative, upwards"),
        pytest.param("etc/c", "usr/bin/x", id="link to a link"),
        pytest.param("etc/loop", None, id="loop"),
        pytest.param("usr/bin/x/y", None, id="through a file"),
        pytest.param("etc/gone", "run/gone", id="dangling"),
        pytest.param("etc/out", "usr", id="above the root is the root"),
    ],
)
def test_real_path(path: str, real: str | None) -> None:
    tree = tree_of(
        file("usr/bin/x", b"", "p"),
        symlink("bin", "usr/bin", "p"),
        symlink("etc/a", "/bin/x", "p"),
        symlink("etc/b", "../usr/./bin//x", "p"),
        symlink("etc/c", "b", "p"),
        symlink("etc/loop", "loop", "p"),
        symlink("etc/gone", "/run/gone", "p"),
        symlink("etc/out", "../../../usr", "p"),
    )
    assert real_path(tree, path) == real


def test_parents() -> None:
    assert list(parents("a/b/c")) == ["a/b", "a", ""]
    assert list(parents("")) == []


def test_a_file_in_the_way() -> None:
    with pytest.raises(ImageError, match=r"/a/b \(q\) lies below /a \(p\)"):
        tree_of(file("a", b"", "p"), file("a/b", b"", "q"))


def test_content_of_hard_links() -> None:
    tree = tree_of(file("a", b"data", "p"), Node("b", Kind.HARDLINK, 0o644, target="a"))
    assert content(tree, "b") == b"data"
    with pytest.raises(ImageError, match="no file c"):
        content(tree, "c")


def test_a_directory_of_sources(tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/run").write_text("#!")
    (tmp_path / "usr/bin/run").chmod(0o700)
    (tmp_path / "usr/data").write_bytes(b"x")
    (tmp_path / "usr/data").chmod(0o600)
    (tmp_path / "usr/link").symlink_to("data")
    (tmp_path / "usr/empty").mkdir()
    (tmp_path / "usr/empty/.gitkeep").touch()
    (tmp_path / "usr/BUILD").touch()
    (tmp_path / "usr/__pycache__").mkdir()
    found = {n.path: (n.kind, n.mode, n.target) for n in from_directory(tmp_path, "us")}
    assert found == {
        "usr": (Kind.DIRECTORY, 0o755, ""),
        "usr/bin": (Kind.DIRECTORY, 0o755, ""),
        "usr/bin/run": (Kind.FILE, 0o755, ""),
        "usr/data": (Kind.FILE, 0o644, ""),
        "usr/empty": (Kind.DIRECTORY, 0o755, ""),
        "usr/link": (Kind.SYMLINK, 0o777, "data"),
    }


def test_directories_come_with_files() -> None:
    assert sorted(tree_of(file("a/b/c", b"", "p"))) == ["", "a", "a/b", "a/b/c"]
    assert directory("x", "p").mode == 0o755
