"""Disk images that are mostly holes: what is in them, hashed and compressed without the rest.

A zstd file may be several frames in a row. Runs of zeros become copies of one small frame
made once, so that compressing a disk costs what its data costs, not its size.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.proc import run

CHUNK = 4 << 20
LEVEL = 2
"""Of zstd: the bulk of a disk is compressed already, 3 takes twice as long for 1.5 %."""

_ZEROS = bytes(CHUNK)


@dataclass(frozen=True, slots=True)
class Digest:
    """`chunks` is SHA-256 over the SHA-256 of every 4 MiB of a file, the last one as it is."""

    bytes: int
    chunks: str


def chunks(path: Path) -> Iterator[bytes | None]:
    """The file in pieces of 4 MiB, the last one shorter; None stands for 4 MiB of zeros."""
    with path.open("rb", buffering=0) as stream:
        size = stream.seek(0, os.SEEK_END)
        for at in range(0, size, CHUNK):
            if at + CHUNK <= size and _next_data(stream.fileno(), at) >= at + CHUNK:
                yield None
                continue
            data = os.pread(stream.fileno(), CHUNK, at)
            yield None if data == _ZEROS else data


def _next_data(fd: int, at: int) -> int:
    try:
        return os.lseek(fd, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:  # only a hole up to the end
            return at + CHUNK
        raise


def digest(path: Path) -> Digest:
    """Size and digest of a file; holes cost nothing."""
    zeros = hashlib.sha256(_ZEROS).digest()
    total = hashlib.sha256()
    for chunk in chunks(path):
        total.update(zeros if chunk is None else hashlib.sha256(chunk).digest())
    return Digest(path.stat().st_size, total.hexdigest())


def compress(path: Path, target: Path, level: int = LEVEL) -> None:
    """Write `path` to `target` as zstd."""
    zeros = _frame(_ZEROS, level)
    pending = bytearray()
    with target.open("wb") as out:
        for chunk in chunks(path):
            if chunk is not None:
                pending += chunk
                continue
            if pending:
                out.write(_frame(bytes(pending), level))
                pending.clear()
            out.write(zeros)
        if pending:
            out.write(_frame(bytes(pending), level))


def _frame(data: bytes, level: int) -> bytes:
    # One worker: more would change the frames.
    return run(["zstd", "-q", f"-{level}", "-T1", "-c", "--no-check"], stdin=data).stdout
