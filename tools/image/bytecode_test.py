from __future__ import annotations

import importlib.util
import marshal
import platform

import pytest

from tools.image import bytecode
from tools.image.errors import ImageError
from tools.image.nodes import Node, file, with_parents

SOURCE = b"X = {1, 2, 3}\ndef f(a):\n    '''Doc.'''\n    return a + 1\n"


def tree_of(**sources: bytes) -> dict[str, Node]:
    tree: dict[str, Node] = {}
    for name, source in sources.items():
        with_parents(tree, file(f"lib/{name}.py", source, "p"))
    return tree


def test_unchecked_and_without_a_time() -> None:
    data = bytecode.compiled(SOURCE, "lib/a.py")
    assert data[:4] == importlib.util.MAGIC_NUMBER
    assert data[4:8] == b"\1\0\0\0"
    assert data[8:16] == importlib.util.source_hash(SOURCE)
    code = marshal.loads(data[16:])
    assert code.co_filename == "/lib/a.py"
    space: dict[str, object] = {}
    exec(code, space)
    assert callable(space["f"]) and space["X"] == {1, 2, 3}


def test_it_lies_where_python_looks() -> None:
    expected = importlib.util.cache_from_source("/lib/a.py").lstrip("/")
    assert bytecode.cache_path("lib/a.py") == expected


def test_only_sources_below_the_roots() -> None:
    tree = tree_of(a=SOURCE, b=SOURCE)
    with_parents(tree, file("lib/data.txt", b"", "p"))
    with_parents(tree, file("libexec/c.py", SOURCE, "p"))
    found = [node.path for node in bytecode.nodes(tree, ["lib"])]
    assert found == [bytecode.cache_path("lib/a.py"), bytecode.cache_path("lib/b.py")]


def test_packages_may_hold_what_does_not_compile_and_we_may_not() -> None:
    tree = tree_of(bad=b"def (:")
    assert list(bytecode.nodes(tree, ["lib"])) == []
    with pytest.raises(ImageError, match="/lib/bad.py does not compile"):
        list(bytecode.nodes(tree, ["lib"], strict_below="lib"))


def test_the_interpreter_must_be_the_images() -> None:
    bytecode.check_interpreter(f"{platform.python_version()}-2+deb13u1")
    with pytest.raises(ImageError, match="the image has Python 2.7"):
        bytecode.check_interpreter("2.7.18-1")
