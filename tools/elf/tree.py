"""A file tree that is not necessarily on a disk.

Paths are absolute within the tree and normal (`/usr/bin/true`). Symbolic links resolve
inside the tree, so `/lib` → `usr/lib` works the same for a directory, a tar and a dict.
"""

from __future__ import annotations

import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from tools.elf.errors import TreeError

CAPABILITY_XATTR = "security.capability"
_MAX_LINKS = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or symbolic link.

    `mode` holds type and permission bits as in stat(2); `target` is a symlink's text;
    `package` says where the file came from, for messages; `capability` is the raw value
    of the security.capability attribute.
    """

    mode: int
    open: Callable[[], BinaryIO] | None = None
    target: str = ""
    package: str = ""
    owner: tuple[int, int] = (0, 0)
    capability: bytes = b""

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


def file_entry(data: bytes, permissions: int = 0o755, package: str = "") -> Entry:
    """A regular file held in memory."""
    return Entry(stat.S_IFREG | permissions, lambda: io.BytesIO(data), package=package)


def link_entry(target: str) -> Entry:
    """A symbolic link."""
    return Entry(stat.S_IFLNK | 0o777, target=target)


def directory_entry() -> Entry:
    """A directory."""
    return Entry(stat.S_IFDIR | 0o755)


class Tree:
    """An immutable mapping of absolute paths to entries; directories may be left out."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._entries = entries
        self._resolved: dict[str, str | None] = {"/": "/"}

    def files(self) -> Iterator[tuple[str, Entry]]:
        """The regular files, sorted by path."""
        for path in sorted(self._entries):
            if self._entries[path].is_file:
                yield path, self._entries[path]

    def get(self, path: str) -> Entry | None:
        """The entry at `path`, symbolic links not followed in its last part."""
        return self._entries.get(path)

    def find(self, path: str) -> str | None:
        """The real path of what `path` leads to, all links followed; None if nothing."""
        real = self.resolve(path)
        return real if real in self._entries else None

    def resolve(self, path: str) -> str | None:
        """`path` with all links followed, whether or not it exists; None for a loop."""
        return self._walk(posixpath.normpath(path), _MAX_LINKS)

    def _walk(self, path: str, links_left: int) -> str | None:
        if path in self._resolved:
            return self._resolved[path]
        parent, name = posixpath.split(path)
        above = self._walk(parent, links_left)
        real = None if above is None else posixpath.join(above, name)
        entry = None if real is None else self._entries.get(real)
        if above is not None and entry is not None and entry.is_link:
            onward = posixpath.normpath(posixpath.join(above, entry.target))
            real = self._walk(onward, links_left - 1) if links_left else None
        if links_left == _MAX_LINKS:
            self._resolved[path] = real
        return real


def from_directory(root: Path) -> Tree:
    """The tree below a directory; files are opened when asked for.

    Raises:
        TreeError: `root` is not a readable directory.
    """
    if not root.is_dir():
        raise TreeError(f"no directory {root}")
    entries: dict[str, Entry] = {}
    for folder, names, files in os.walk(root):
        for name in (*names, *files):
            path = Path(folder, name)
            entries["/" + path.relative_to(root).as_posix()] = _on_disk(path)
    return Tree(entries)


def _on_disk(path: Path) -> Entry:
    info = path.lstat()
    regular = stat.S_ISREG(info.st_mode)
    return Entry(
        info.st_mode,
        open=(lambda: path.open("rb")) if regular else None,
        target=os.readlink(path) if stat.S_ISLNK(info.st_mode) else "",
        owner=(info.st_uid, info.st_gid),
        capability=_capability_on_disk(path) if regular else b"",
    )


def _capability_on_disk(path: Path) -> bytes:
    try:
        return os.getxattr(path, CAPABILITY_XATTR)
    except OSError:  # none set, or a file system without attributes
        return b""


def from_tar(archive: tarfile.TarFile, packages: Mapping[str, str] | None = None) -> Tree:
    """The tree inside an open, uncompressed tar archive; it must stay open.

    `packages` names the package of each path, for messages.
    """
    origin = packages or {}
    entries: dict[str, Entry] = {}
    for member in archive:
        path = posixpath.normpath(posixpath.join("/", member.name))
        if member.islnk():
            linked = entries.get(posixpath.normpath(posixpath.join("/", member.linkname)))
            if linked is not None:
                entries[path] = linked
            continue
        entries[path] = _in_tar(archive, member, origin.get(path, ""))
    return Tree(entries)


_TAR_TYPES = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


def _in_tar(archive: tarfile.TarFile, member: tarfile.TarInfo, package: str) -> Entry:
    capability = member.pax_headers.get(f"SCHILY.xattr.{CAPABILITY_XATTR}", "")
    return Entry(
        _TAR_TYPES.get(member.type, stat.S_IFREG) | (member.mode & 0o7777),
        open=(lambda: cast(BinaryIO, archive.extractfile(member))) if member.isreg() else None,
        target=member.linkname if member.issym() else "",
        package=package,
        owner=(member.uid, member.gid),
        capability=capability.encode("utf-8", "surrogateescape"),
    )
