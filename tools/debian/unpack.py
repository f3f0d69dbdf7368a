"""Laying the content of .deb files out as a tree, as an unprivileged user or as root alike.

Paths are made to fit a merged /usr: what a package puts into `/bin`, `/sbin` or `/lib*`
goes below `/usr`. Ownership is not kept, and neither are set-id bits: a tree in a cache
must not lend anybody's rights. Devices are left out. Times are one given time.
"""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.debian.deb import Deb
from tools.debian.errors import DebError
from tools.debian.store import explained

MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")

_COPY = 1 << 20


@dataclass(frozen=True, slots=True)
class Skipped:
    """A member that was left out, and why."""

    path: str
    reason: str


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
            if path:
                yield path, member, tar


def unpack(deb: Deb, tree: Path, mtime: int) -> None:
    """Add one package's files to a tree, replacing what is there.

    Directories stay writable until `unpack` of all packages is done. Links are created as
    they are, but nothing is ever written through one: every parent must be a directory.

    Raises:
        DebError: the package is damaged or a member would leave the tree.
        StoreError: the tree cannot be written.
    """
    writer = _Writer(tree, mtime, deb.path.name)
    for path, member, tar in members(deb):
        with explained(tree / path):
            writer.add(path, member, tar)


class _Writer:
    """Writes members of one package; remembers which parents it has checked."""

    def __init__(self, tree: Path, mtime: int, package: str) -> None:
        self._tree, self._mtime, self._package = os.fspath(tree), mtime, package
        self._checked: set[str] = {""}

    def add(self, path: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        full = f"{self._tree}/{path}"
        self._parent(posixpath.dirname(path))
        if member.isdir():
            self._directory(path, full, member)
        elif member.issym():
            self._link(path, full, member)
        elif member.islnk():
            source = clean_path(member.linkname, self._package)
            self._parent(posixpath.dirname(source))
            _remove(full)
            os.link(f"{self._tree}/{source}", full, follow_symlinks=False)
        elif member.isfile():
            self._file(full, member, tar)

    def _parent(self, path: str) -> None:
        if path in self._checked:
            return
        self._parent(posixpath.dirname(path))
        full = f"{self._tree}/{path}"
        try:
            os.mkdir(full, 0o755)
        except FileExistsError:
            if os.path.islink(full) or not os.path.isdir(full):
                raise DebError(
                    f"{self._package}: {path} is not a directory, but has files below it"
                ) from None
        self._checked.add(path)

    def _directory(self, path: str, full: str, member: tarfile.TarInfo) -> None:
        # A link in the place of a directory stays: that is how a merged /usr looks.
        try:
            os.mkdir(full)
            os.chmod(full, (member.mode & 0o777) | 0o700)
        except FileExistsError:
            if not os.path.isdir(full):
                raise DebError(f"{self._package}: {path} is there and not a directory") from None

    def _link(self, path: str, full: str, member: tarfile.TarInfo) -> None:
        if os.path.isdir(full) and not os.path.islink(full):
            return
        _remove(full)
        os.symlink(member.linkname, full)
        os.utime(full, (self._mtime, self._mtime), follow_symlinks=False)

    def _file(self, full: str, member: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        content = tar.extractfile(member)
        if content is None:
            raise DebError(f"{self._package}: {member.name} has no content")
        _remove(full)
        fd = os.open(full, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            left = member.size
            while left:
                data = content.read(min(left, _COPY))
                if not data:
                    raise DebError(f"{self._package} is damaged: {member.name} ends early")
                left -= len(data)
                _write_all(fd, data)
            os.fchmod(fd, member.mode & 0o777 & ~0o222)
            os.utime(fd, (self._mtime, self._mtime))
        finally:
            os.close(fd)


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _remove(full: str) -> None:
    try:
        os.unlink(full)
    except FileNotFoundError:
        pass
