"""The content-addressed store of package files: `store/sha256/ab/abcdef…`, mode 0444.

A file gets its name only after its bytes were hashed, written to disk and synced. Until
then it is `.unverified-<hash>`, which one process at a time may write and the next one
may go on with.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools.debian.errors import StoreError
from tools.debian.lock import LockedPackage

CHUNK = 1 << 20

_FULL = (errno.ENOSPC, errno.EDQUOT)


def blob_path(store: Path, sha256: str) -> Path:
    """Where a file of that hash lies in the store, whether or not it is there."""
    return store / "store" / content_path(sha256)


def content_path(sha256: str) -> Path:
    """The same inside a content-addressed mirror."""
    return Path("sha256") / sha256[:2] / sha256


def holds(path: Path, package: LockedPackage) -> bool:
    """Whether the file is there and, byte by byte, the package.

    Raises:
        StoreError: it is there but cannot be read.
    """
    try:
        return path.stat().st_size == package.size and file_sha256(path) == package.sha256
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror}", "check its permissions"
        ) from error


def file_sha256(path: Path) -> str:
    """Hash of a file's content. Raises OSError."""
    with path.open("rb", buffering=0) as file:
        return stream_sha256(file)


def stream_sha256(stream: IO[bytes]) -> str:
    """Hash of what is left of a stream. Raises OSError."""
    digest = hashlib.sha256()
    while data := stream.read(CHUNK):
        digest.update(data)
    return digest.hexdigest()


@contextmanager
def partial(target: Path, sha256: str) -> Iterator[IO[bytes]]:
    """The unverified file beside `target`, open for reading and appending, ours alone.

    Waits for another process that is writing it. What is in it when the block is left
    stays there, unless `publish` moved it or `discard` removed it; an empty one goes.

    Raises:
        StoreError: the directory cannot be written.
    """
    path = target.parent / f".unverified-{sha256}"
    with explained(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        file = _open_locked(path)
    try:
        yield file
    finally:
        with explained(path):
            _close(file, path)


def publish(file: IO[bytes], target: Path) -> None:
    """Give a verified file its name, durably. Raises StoreError."""
    path = Path(file.name)
    with explained(target):
        file.flush()
        os.fchmod(file.fileno(), 0o444)
        os.fsync(file.fileno())
        os.rename(path, target)
        sync_directory(target.parent)


def discard(file: IO[bytes]) -> None:
    """Remove an unverified file that is of no use."""
    Path(file.name).unlink(missing_ok=True)


def sync_directory(path: Path) -> None:
    """Make renames in a directory durable. Raises OSError."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an OSError of writing below `path` into one line.

    Raises:
        StoreError: any OSError inside the block.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StoreError(
                f"no space left on the disk that holds {path.parent}",
                "free some, or set XDG_CACHE_HOME to a larger disk; the build goes on from there",
            ) from error
        reason = (error.strerror or str(error)).lower()
        raise StoreError(f"cannot write {path}: {reason}", "check its permissions") from error


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, waiting for whoever has it. Raises StoreError."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _close(file: IO[bytes], path: Path) -> None:
    try:
        info = os.fstat(file.fileno())
        if info.st_size == 0 and os.path.samestat(info, path.stat()):
            path.unlink()
    except FileNotFoundError:
        pass
    finally:
        file.close()


def _open_locked(path: Path) -> IO[bytes]:
    while True:
        file = path.open("a+b")
        fcntl.flock(file, fcntl.LOCK_EX)
        # Whoever had the lock before may have published or removed the file we opened.
        try:
            if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return file
        except FileNotFoundError:
            pass
        file.close()
