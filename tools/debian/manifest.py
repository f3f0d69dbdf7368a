"""What a tree holds, path by path, in one canonical text, and its digest.

One line per path, sorted: type, mode in octal, size, hash or link target, path. Owners and
times are no part of it: they differ between an unprivileged user and root.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.debian.errors import TreeError
from tools.debian.store import file_sha256

HASHERS = 4


@dataclass(frozen=True, slots=True, order=True)
class Entry:
    """One path. `kind` is d, f or l; `content` is a file's hash or a link's target."""

    path: str
    kind: str
    mode: int
    size: int
    content: str

    def line(self) -> str:
        """Its line, without newline; odd characters are escaped."""
        path, content = _escape(self.path), _escape(self.content)
        return f"{self.kind} {self.mode:04o} {self.size} {content or '-'} {path}"


def dump(entries: Iterable[Entry]) -> str:
    """The canonical text."""
    return "".join(f"{entry.line()}\n" for entry in sorted(entries))


def digest(text: str) -> str:
    """The digest of a canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()


def scan(tree: Path) -> list[Entry]:
    """Entries of a tree on disk, every file hashed.

    Raises:
        TreeError: something cannot be read, or is neither directory, file nor link.
    """
    found = list(walk(tree))
    files = [(path, info) for path, info in found if stat.S_ISREG(info.st_mode)]
    try:
        with ThreadPoolExecutor(HASHERS, "hash") as pool:
            hashes = dict(
                zip(
                    (path for path, _ in files),
                    pool.map(lambda item: file_sha256(tree / item[0]), files),
                    strict=True,
                )
            )
        return [_entry(tree, path, info, hashes) for path, info in found]
    except OSError as error:
        raise TreeError(f"cannot read {error.filename}: {error.strerror}") from error


def walk(tree: Path, below: str = "") -> Iterator[tuple[str, os.stat_result]]:
    """Every path below a tree with its lstat, parents first. Raises TreeError."""
    try:
        with os.scandir(tree / below) as listing:
            infos = [(item.name, item.stat(follow_symlinks=False)) for item in listing]
    except OSError as error:
        raise TreeError(f"cannot read {error.filename}: {error.strerror}") from error
    for name, info in sorted(infos):
        yield f"{below}{name}", info
        if stat.S_ISDIR(info.st_mode):
            yield from walk(tree, f"{below}{name}/")


def difference(expected: str, found: str) -> str:
    """The first path that differs between two canonical texts, in words."""
    want, have = _by_path(expected), _by_path(found)
    for path in sorted(want.keys() | have.keys()):
        if path not in have:
            return f"{path} is gone"
        if path not in want:
            return f"{path} was added"
        if want[path] != have[path]:
            return f"{path} changed: expected {want[path]}, found {have[path]}"
    return "nothing differs"


def _by_path(text: str) -> dict[str, str]:
    return {
        words[4]: " ".join(words[:4])
        for line in text.splitlines()
        if len(words := line.split(" ", 4)) == 5
    }


def _entry(tree: Path, path: str, info: os.stat_result, hashes: dict[str, str]) -> Entry:
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        return Entry(path, "d", mode, 0, "")
    if stat.S_ISLNK(info.st_mode):
        return Entry(path, "l", 0o777, 0, os.readlink(tree / path))
    if stat.S_ISREG(info.st_mode):
        return Entry(path, "f", mode, info.st_size, hashes[path])
    raise TreeError(f"{tree / path} is neither a directory, a file nor a link")


def _escape(text: str) -> str:
    raw = text.encode("utf-8", "surrogateescape")
    return "".join(
        chr(byte) if 0x20 < byte < 0x7F and byte != 0x5C else f"\\x{byte:02x}" for byte in raw
    )
