"""What a file tree consists of before it is on any disk.

A tree is a dict of `Node` by path. Paths are relative to the root, without a leading or
trailing slash and without symbolic links in their directories ("usr/bin/env"); the root
itself is "". Owners are numbers; `owner` keeps the names a package wrote, for the step
that knows the user database.
"""

from __future__ import annotations

import enum
import hashlib
import io
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from tools.image.errors import ImageError

_CHUNK = 1 << 20


class Kind(enum.Enum):
    """The types of file an image can hold; devices and sockets are made at run time."""

    DIRECTORY = "dir"
    FILE = "file"
    SYMLINK = "link"
    HARDLINK = "hard"


@dataclass(frozen=True, slots=True)
class Blob:
    """The content of a file: bytes in memory, or `size` bytes of a file from `offset`."""

    size: int
    sha256: str
    content: bytes | None = None
    path: Path | None = None
    offset: int = 0

    @classmethod
    def of(cls, content: bytes) -> Blob:
        """A blob in memory."""
        return cls(len(content), hashlib.sha256(content).hexdigest(), content)

    @classmethod
    def of_file(cls, path: Path) -> Blob:
        """A whole file, hashed now and read again when needed."""
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            return cls(stream.tell(), digest, path=path)

    def read(self) -> bytes:
        """All of it."""
        if self.content is not None:
            return self.content
        assert self.path is not None
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)

    def open(self) -> BinaryIO:
        """A seekable stream of it."""
        return io.BytesIO(self.read())


@dataclass(frozen=True, slots=True)
class Node:
    """One path of a tree.

    `mode` holds the permission bits alone. `target` is a symlink's text or, for a hard
    link, the path of the node that has the content. `origin` names the package, or the
    part of our own data, that brought it. `xattrs` are sorted (name, value) pairs.
    `owner` is (user, group) by name, empty where only numbers are known.
    """

    path: str
    kind: Kind
    mode: int
    uid: int = 0
    gid: int = 0
    origin: str = ""
    target: str = ""
    blob: Blob | None = None
    owner: tuple[str, str] = ("", "")
    xattrs: tuple[tuple[str, bytes], ...] = field(default=())


def directory(path: str, origin: str, mode: int = 0o755) -> Node:
    """A directory of root's."""
    return Node(path, Kind.DIRECTORY, mode, origin=origin)


def file(path: str, content: bytes, origin: str, mode: int = 0o644) -> Node:
    """A file of root's, its content in memory."""
    return Node(path, Kind.FILE, mode, origin=origin, blob=Blob.of(content))


def symlink(path: str, target: str, origin: str) -> Node:
    """A symbolic link."""
    return Node(path, Kind.SYMLINK, 0o777, origin=origin, target=target)


def parents(path: str) -> Iterator[str]:
    """The directories above `path`, the nearest first, ending with the root ""."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def content(tree: Mapping[str, Node], path: str) -> bytes:
    """The bytes of a regular or hard-linked file.

    Raises:
        ImageError: there is no such file.
    """
    node = tree.get(path)
    if node is not None and node.kind is Kind.HARDLINK:
        node = tree.get(node.target)
    if node is None or node.blob is None:
        raise ImageError(f"the tree has no file {path}")
    return node.blob.read()


def real_path(tree: Mapping[str, Node], path: str, limit: int = 40) -> str | None:
    """Where `path` leads when every symbolic link is followed inside the tree.

    Returns None for a loop or a way that leads through something that is no directory;
    the result need not exist.
    """
    todo = [part for part in path.split("/") if part not in ("", ".")]
    done: list[str] = []
    todo.reverse()
    while todo:
        part = todo.pop()
        if part == "..":
            done = done[:-1]
            continue
        done.append(part)
        node = tree.get("/".join(done))
        if node is None or node.kind is Kind.DIRECTORY:
            continue
        if node.kind is not Kind.SYMLINK:
            if todo:
                return None
            continue
        if limit == 0:
            return None
        limit -= 1
        done = [] if node.target.startswith("/") else done[:-1]
        todo += [part for part in reversed(node.target.split("/")) if part not in ("", ".")]
    return "/".join(done)


def with_parents(tree: dict[str, Node], node: Node) -> None:
    """Put a node into a tree, with the directories above it where they are missing.

    Raises:
        ImageError: something that is no directory is in the way.
    """
    for above in parents(node.path):
        found = tree.get(above)
        if found is None:
            tree[above] = directory(above, node.origin)
        elif found.kind is not Kind.DIRECTORY:
            raise ImageError(
                f"/{node.path} ({node.origin}) lies below /{above} ({found.origin}),"
                f" which is no directory",
                f"put it below {found.target}" if found.target else "",
            )
    tree[node.path] = node


def from_directory(root: Path, origin: str) -> Iterator[Node]:
    """Nodes for all that is below a directory of our sources, sorted by path.

    Owners are root's and modes 0755 or 0644 by the executable bit, whatever a checkout
    has; what version control or the build graph keeps there is left out.
    """
    for folder, names, files in os.walk(root):
        names.sort()
        names[:] = [name for name in names if name != "__pycache__"]
        base = Path(folder).relative_to(root).as_posix()
        for name in sorted((*names, *files)):
            path = name if base == "." else f"{base}/{name}"
            source = Path(folder, name)
            if source.is_symlink():
                yield symlink(path, os.readlink(source), origin)
            elif source.is_dir():
                yield directory(path, origin)
            elif name not in ("BUILD", ".gitkeep"):
                mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
                yield Node(path, Kind.FILE, mode, origin=origin, blob=Blob.of_file(source))
