"""Laying the content of .deb files out as a tree, as an unprivileged user or as root alike.

Paths are made to fit a merged /usr: what a package puts into `/bin`, `/sbin` or `/lib*`
goes below `/usr`. Ownership is not kept, and neither are set-id bits: a tree in a cache
must not lend anybody's rights. Files are read-only, directories 0755 until they are sealed,
devices are left out, and all times are one given time.

Packages may come in any order and from several threads: the result is the same, since no
two of them may hold different things under one path.
"""

from __future__ import annotations

import hashlib
import os
import posixpath
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.debian.deb import Deb
from tools.debian.errors import DebError, DebianError
from tools.debian.manifest import Entry
from tools.debian.store import explained

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")

_COPY = 1 << 20
_DIRECTORY = 0o555


def clean_path(name: str, package: str) -> str:
    """A member's place in the tree: relative, without `.`, in a merged /usr.

    Raises:
        DebError: it is absolute or climbs out.
    """
    if name.startswith("/") or ".." in name.split("/") or "\0" in name:
        raise DebError(f"{package}: {name!r} lies outside the tree")
    path = posixpath.normpath(name)
    if path == ".":
        return ""
    first, _, rest = path.partition("/")
    return f"usr/{path}" if first in MERGED and rest else path


def members(deb: Deb) -> Iterator[tuple[str, tarfile.TarInfo, tarfile.TarFile]]:
    """Every member of the data tar with its place in the tree. Raises DebError."""
    with deb.data() as tar:
        for member in tar:
            path = clean_path(member.name, deb.path.name)
            if path in MERGED and member.isdir():
                path = f"usr/{path}"
            if path:
                yield path, member, tar


class Unpacker:
    """A tree that is being made, and what is in it so far."""

    def __init__(self, tree: Path, mtime: int, skip: Sequence[str] = ()) -> None:
        """`skip` holds prefixes of paths to leave out."""
        self._tree, self._mtime, self._skip = os.fspath(tree), mtime, tuple(skip)
        self._entries: dict[str, Entry] = {}
        self._owners: dict[str, str] = {}
        self._mutex = threading.RLock()
        self._stopped = False

    def add(self, deb: Deb, package: str) -> None:
        """Add one package's files.

        Raises:
            DebError: it is damaged, a member would leave the tree or be written through a
                link, or another package holds something else under the same path.
            StoreError: the tree cannot be written.
        """
        for path, member, tar in members(deb):
            if self._stopped:
                raise DebianError("stopped")
            if path.startswith(self._skip):
                continue
            with explained(Path(self._tree, path)):
                self._member(path, member, tar, package)

    def stop(self) -> None:
        """Let every `add` end at its next member."""
        self._stopped = True

    def has(self, path: str) -> bool:
        """Whether the path is there."""
        return path in self._entries

    def entries(self) -> list[Entry]:
        """All paths, as they will be once the tree is sealed."""
        return list(self._entries.values())

    def directory(self, path: str, owner: str = "layout") -> None:
        """Make a directory and those above it. Raises DebError on a conflict."""
        known = self._entries.get(path)
        if known is not None and known.kind == "d":
            return
        if parent := posixpath.dirname(path):
            self.directory(parent, owner)
        # One step for all threads: nobody may see a directory that is not there yet.
        with self._mutex:
            if self._claim(Entry(path, "d", _DIRECTORY, 0, ""), owner):
                os.mkdir(f"{self._tree}/{path}", 0o755)

    def link(self, path: str, target: str, owner: str = "layout") -> None:
        """Make a symbolic link. Raises DebError on a conflict."""
        self._above(path, owner)
        if self._claim(Entry(path, "l", 0o777, 0, target), owner):
            full = f"{self._tree}/{path}"
            os.symlink(target, full)
            os.utime(full, (self._mtime, self._mtime), follow_symlinks=False)

    def file(self, path: str, content: bytes, owner: str = "layout") -> None:
        """Make a file, mode 0444. Raises DebError on a conflict."""
        self._above(path, owner)
        digest = hashlib.sha256(content).hexdigest()
        if self._claim(Entry(path, "f", 0o444, len(content), digest), owner):
            self._write(path, 0o444, iter([content]))

    def _member(
        self, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile, package: str
    ) -> None:
        if member.isdir():
            self.directory(path, package)
        elif member.issym():
            self.link(path, member.linkname, package)
        elif member.islnk():
            self._hard_link(path, member, package)
        elif member.isfile():
            self._regular(path, member, tar, package)

    def _hard_link(self, path: str, member: tarfile.TarInfo, package: str) -> None:
        source = clean_path(member.linkname, package)
        known = self._entries.get(source)
        if known is None or known.kind != "f" or self._owners[source] != package:
            raise DebError(f"{package}: {path} is a hard link to {source}, no file of its own")
        self._above(path, package)
        if self._claim(Entry(path, "f", known.mode, known.size, known.content), package):
            os.link(f"{self._tree}/{source}", f"{self._tree}/{path}", follow_symlinks=False)

    def _regular(
        self, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile, package: str
    ) -> None:
        self._above(path, package)
        mode = member.mode & 0o555
        # The hash is known only at the end: claim the path first, then say what it holds.
        blank = Entry(path, "f", mode, member.size, "")
        fresh = self._claim(blank, package)
        pieces = _pieces(member, tar, package)
        digest = self._write(path, mode, pieces) if fresh else _hash(pieces)
        with self._mutex:
            known = self._entries[path]
            if known.content not in ("", digest):
                self._conflict(path, package)
            self._entries[path] = Entry(path, "f", mode, member.size, digest)

    def _write(self, path: str, mode: int, pieces: Iterator[bytes]) -> str:
        digest = hashlib.sha256()
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(f"{self._tree}/{path}", flags, 0o600)
        try:
            for piece in pieces:
                digest.update(piece)
                view = memoryview(piece)
                while view:
                    view = view[os.write(fd, view) :]
            os.fchmod(fd, mode)
            os.utime(fd, (self._mtime, self._mtime))
        finally:
            os.close(fd)
        return digest.hexdigest()

    def _above(self, path: str, owner: str) -> None:
        if parent := posixpath.dirname(path):
            self.directory(parent, owner)

    def _claim(self, entry: Entry, owner: str) -> bool:
        """True when the path was free; False when the same is there already."""
        with self._mutex:
            known = self._entries.get(entry.path)
            if known is None:
                self._entries[entry.path] = entry
                self._owners[entry.path] = owner
                return True
        same_file = known.kind == entry.kind == "f" and known.size == entry.size
        if known != entry and not (same_file and known.mode == entry.mode):
            self._conflict(entry.path, owner)
        return False

    def _conflict(self, path: str, owner: str) -> None:
        raise DebError(
            f"packages {self._owners[path]} and {owner} hold different things at {path}",
            "they cannot be in one set: correct os/packages/packages.toml",
        )


def _pieces(member: tarfile.TarInfo, tar: tarfile.TarFile, package: str) -> Iterator[bytes]:
    content, left = tar.extractfile(member), member.size
    while left and content is not None:
        data = content.read(min(left, _COPY))
        if not data:
            raise DebError(f"{package} is damaged: {member.name} ends early")
        left -= len(data)
        yield data


def _hash(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
