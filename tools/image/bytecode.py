"""Byte code beside Python sources, as Debian's postinst would make it, but reproducible.

The files are hash-based and unchecked (PEP 552): the root is verified block by block, so
nothing needs to compare a source with its byte code at each start, and no time is inside.
They fit only the interpreter that runs this program, which therefore must be the image's.
"""

from __future__ import annotations

import importlib.util
import marshal
import platform
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping

from tools.image.errors import ImageError
from tools.image.nodes import Kind, Node, file

_HASH_BASED = (1).to_bytes(4, "little")


def check_interpreter(version: str) -> None:
    """See that this interpreter is the one of a Debian package version.

    Raises:
        ImageError: it is another one.
    """
    if not version.startswith(platform.python_version()):
        raise ImageError(
            f"the image has Python {version}, the tools have {platform.python_version()}",
            "run ./strake lock: both come from the same suites",
        )


def compiled(source: bytes, path: str) -> bytes:
    """The .pyc of a source that the image has at /`path`. Raises SyntaxError, ValueError."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = compile(source, f"/{path}", "exec", dont_inherit=True, optimize=0)
    digest = importlib.util.source_hash(source)
    return importlib.util.MAGIC_NUMBER + _HASH_BASED + digest + marshal.dumps(code)


def cache_path(path: str) -> str:
    """`a/b.py` → `a/__pycache__/b.cpython-313.pyc`."""
    folder, _, name = path.rpartition("/")
    return f"{folder}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


def nodes(
    tree: Mapping[str, Node], roots: Iterable[str], strict_below: str = "\0"
) -> Iterator[Node]:
    """Byte code for every source below `roots`, in order of paths.

    Files of packages that do not compile are templates or test data and are left alone;
    below `strict_below` they are an error.

    Raises:
        ImageError: one of our own sources does not compile.
    """
    prefixes = tuple(f"{root}/" for root in roots)
    for path in sorted(tree):
        node = tree[path]
        if not path.endswith(".py") or not path.startswith(prefixes) or node.kind is not Kind.FILE:
            continue
        assert node.blob is not None
        try:
            data = compiled(node.blob.read(), path)
        except (SyntaxError, ValueError) as error:
            if path.startswith(strict_below):
                raise ImageError(f"/{path} does not compile: {error}") from error
            continue
        yield file(cache_path(path), data, node.origin)
