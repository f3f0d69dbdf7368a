"""Writes a tree as a tar archive whose bits depend on nothing but the tree, and reads it.

Members are sorted by path, hard links point to the first of their group, every time is
the epoch, owners are numbers. An `index` (JSON) lists all nodes with the place of each
member, so that a later archive can take over unchanged members byte for byte instead of
reading and encoding them again.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from tools.image.nodes import Blob, Kind, Node

_BLOCK = 512
_RECORD = 10240
_XATTR = "SCHILY.xattr."
_TYPES = {
    Kind.DIRECTORY: tarfile.DIRTYPE,
    Kind.FILE: tarfile.REGTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.HARDLINK: tarfile.LNKTYPE,
}


@dataclass(frozen=True, slots=True)
class Placed:
    """A node and where its member is: `start` to `end`, header and padding included."""

    node: Node
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive on disk with the places of its members by path."""

    path: Path
    members: Mapping[str, Placed]

    def tree(self) -> dict[str, Node]:
        """All nodes by path."""
        return {path: placed.node for path, placed in self.members.items()}


def write(tree: Mapping[str, Node], path: Path, epoch: int, base: Archive | None = None) -> Archive:
    """Write `tree` to `path`; members that are the same in `base` are copied from there."""
    members: dict[str, Placed] = {}
    with path.open("wb") as out, _Source(base) as source:
        at = 0
        for node in _ordered(tree):
            same = base.members.get(node.path) if base else None
            if same is not None and same.node == node:
                source.later(same.start, same.end, out)
                end = at + same.end - same.start
            else:
                source.flush(out)
                end = at + _write_member(out, node, epoch)
            members[node.path] = Placed(_moved(node, path, end), at, end)
            at = end
        source.flush(out)
        out.write(bytes(-(at + 2 * _BLOCK) % _RECORD + 2 * _BLOCK))
    return Archive(path, members)


def _ordered(tree: Mapping[str, Node]) -> list[Node]:
    """Sorted by path; of each group of hard links the first one has the content."""
    groups: dict[str, list[str]] = {}
    for node in tree.values():
        if node.kind is Kind.HARDLINK:
            groups.setdefault(node.target, [node.target]).append(node.path)
    changed: dict[str, Node] = {}
    for owner, paths in groups.items():
        first = min(paths)
        for path in paths:
            if path == first:
                changed[path] = replace(tree[owner], path=path)
            else:
                changed[path] = replace(
                    tree[owner],
                    path=path,
                    kind=Kind.HARDLINK,
                    target=first,
                    blob=None,
                    xattrs=(),
                )
    # A directory sorts before what is below it when "/" is the smallest character.
    return sorted(
        (changed.get(path, node) for path, node in tree.items()),
        key=lambda node: node.path.split("/"),
    )


def _moved(node: Node, archive: Path, end: int) -> Node:
    if node.blob is None:
        return node
    offset = end - node.blob.size - (-node.blob.size % _BLOCK)
    return replace(node, blob=Blob(node.blob.size, node.blob.sha256, path=archive, offset=offset))


def header(node: Node, epoch: int) -> bytes:
    """The member's header blocks."""
    info = tarfile.TarInfo(node.path or ".")
    info.type = _TYPES[node.kind]
    info.mode, info.uid, info.gid, info.mtime = node.mode, node.uid, node.gid, epoch
    info.linkname = node.target
    info.size = node.blob.size if node.blob else 0
    info.pax_headers = {
        f"{_XATTR}{name}": value.decode("utf-8", "surrogateescape") for name, value in node.xattrs
    }
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")


def _write_member(out: BinaryIO, node: Node, epoch: int) -> int:
    head = header(node, epoch)
    out.write(head)
    if node.blob is None:
        return len(head)
    padding = -node.blob.size % _BLOCK
    out.write(node.blob.read())
    out.write(bytes(padding))
    return len(head) + node.blob.size + padding


class _Source:
    """Copies ranges of an archive, joined to as few system calls as can be."""

    def __init__(self, base: Archive | None) -> None:
        self._file: BinaryIO | None = base.path.open("rb") if base else None
        self._start = self._end = 0

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def later(self, start: int, end: int, out: BinaryIO) -> None:
        """Note a range to copy; ranges that touch become one."""
        if start != self._end:
            self.flush(out)
            self._start = start
        self._end = end

    def flush(self, out: BinaryIO) -> None:
        """Copy what was noted."""
        if self._file is None or self._start == self._end:
            return
        out.flush()
        position, left = self._start, self._end - self._start
        while left:
            copied = os.sendfile(out.fileno(), self._file.fileno(), position, left)
            position, left = position + copied, left - copied
        out.seek(0, os.SEEK_END)
        self._start = self._end = 0


def dump_index(archive: Archive) -> str:
    """The index as JSON, one line per path, sorted."""
    lines = [
        json.dumps(_row(placed), separators=(",", ":"), sort_keys=True, ensure_ascii=True)
        for placed in archive.members.values()
    ]
    return "[\n" + ",\n".join(lines) + "\n]\n"


def load_index(index: Path, archive: Path) -> Archive:
    """The counterpart of `dump_index`."""
    rows = json.loads(index.read_text("utf-8"))
    return Archive(archive, {row["path"]: _placed(row, archive) for row in rows})


def _row(placed: Placed) -> dict[str, Any]:
    node = placed.node
    row: dict[str, Any] = {
        "path": node.path,
        "kind": node.kind.value,
        "mode": f"{node.mode:04o}",
        "uid": node.uid,
        "gid": node.gid,
        "origin": node.origin,
        "at": [placed.start, placed.end],
    }
    if node.target:
        row["target"] = node.target
    if node.blob is not None:
        row |= {"size": node.blob.size, "sha256": node.blob.sha256}
    if any(node.owner):
        row["owner"] = list(node.owner)
    if node.xattrs:
        row["xattrs"] = {name: value.hex() for name, value in node.xattrs}
    return row


def _placed(row: Mapping[str, Any], archive: Path) -> Placed:
    start, end = row["at"]
    blob = Blob(row["size"], row["sha256"]) if "sha256" in row else None
    node = Node(
        path=row["path"],
        kind=Kind(row["kind"]),
        mode=int(row["mode"], 8),
        uid=row["uid"],
        gid=row["gid"],
        origin=row["origin"],
        target=row.get("target", ""),
        blob=blob,
        owner=tuple(row.get("owner", ("", ""))),
        xattrs=tuple((n, bytes.fromhex(v)) for n, v in sorted(row.get("xattrs", {}).items())),
    )
    return Placed(_moved(node, archive, end), start, end)


def manifest(nodes: Iterable[Node]) -> str:
    """What is in a tree, for people and later steps: `dump_index` without the places."""
    rows = []
    for node in nodes:
        row = _row(Placed(node, 0, 0))
        del row["at"]
        rows.append(json.dumps(row, separators=(",", ":"), sort_keys=True, ensure_ascii=True))
    return "[\n" + ",\n".join(rows) + "\n]\n"
