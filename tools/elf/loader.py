"""Finds libraries the way ld.so of glibc does (ld.so(8)), without running it.

Rules followed: a name with a slash is a path; otherwise RUNPATH, else RPATH, then the
default directories; a candidate of another machine or word size is passed over.
Not followed: LD_LIBRARY_PATH, the cache, and RPATH inherited from the loading program.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterator, Sequence

from tools.elf.model import ElfInfo
from tools.elf.tree import Tree

DEFAULT_DIRECTORIES = {
    ("EM_X86_64", 64): ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"),
    ("EM_AARCH64", 64): ("/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu"),
}
"""Directories compiled into Debian's ld.so; `/lib` and `/usr/lib` follow for all."""

InfoOf = Callable[[str], ElfInfo | None]
"""The facts of the file at a real path; None when it is not ELF."""


def find_library(tree: Tree, info_of: InfoOf, path: str, info: ElfInfo, name: str) -> str | None:
    """The real path of library `name` as needed by the file at `path`, or None."""
    for candidate in _candidates(path, info, name):
        real = tree.find(candidate)
        found = info_of(real) if real else None
        if found is not None and found.fits(info):
            return real
    return None


def searched(path: str, info: ElfInfo) -> tuple[str, ...]:
    """The directories searched for the libraries of a file, in order."""
    own = info.runpath or info.rpath
    multiarch = DEFAULT_DIRECTORIES.get((info.machine, info.bits), ())
    return (
        *(_expand(part, path, multiarch) for part in own),
        *multiarch,
        "/lib",
        "/usr/lib",
    )


def _candidates(path: str, info: ElfInfo, name: str) -> Iterator[str]:
    if "/" in name:
        yield posixpath.join("/", name)
        return
    for directory in searched(path, info):
        yield posixpath.join(directory, name)


def _expand(text: str, path: str, multiarch: Sequence[str]) -> str:
    library = multiarch[0].lstrip("/") if multiarch else "lib"
    for name, value in (("ORIGIN", posixpath.dirname(path)), ("LIB", library)):
        text = text.replace("${" + name + "}", value).replace("$" + name, value)
    return posixpath.normpath(posixpath.join("/", text))
