"""Reading .deb files: an `ar` of `debian-binary`, `control.tar*` and `data.tar*` (deb(5)).

Nothing is executed and nothing is believed: members that would leave the tree are an
error. Python reads xz, gzip and plain tars itself; for zstd, which Python learns only in
3.14, the `zstd` program must be there.
"""

from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Protocol

from tools.debian import deb822
from tools.debian.errors import DebError
from tools.proc import ProgramNotFound, run

_MAGIC = b"!<arch>\n"
_HEADER = 60
_IN = 1 << 18
_OUT = 1 << 20


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


class Deb:
    """One .deb file. Members are found once; their content is read on demand."""

    def __init__(self, path: Path) -> None:
        """Raises DebError when the file is no .deb."""
        self.path = path
        with _explained(path), path.open("rb") as file:
            self._members = dict(_ar_members(file, path))
        if "debian-binary" not in self._members:
            raise DebError(f"{path.name} is not a .deb: it has no debian-binary")

    def control(self) -> dict[str, str]:
        """Fields of the control file. Raises DebError when it is missing or malformed."""
        with self._tar("control.tar") as tar:
            for member in tar:
                if member.name.removeprefix("./") == "control" and member.isfile():
                    content = tar.extractfile(member)
                    if content is not None:
                        return deb822.parse(content.read().decode("utf-8"))
        raise DebError(f"{self.path.name} has no control file")

    def control_files(self) -> dict[str, bytes]:
        """Every file of the control tar by name: maintainer scripts, conffiles, triggers."""
        found = {}
        with self._tar("control.tar") as tar:
            for member in tar:
                content = tar.extractfile(member) if member.isfile() else None
                if content is not None:
                    found[member.name.removeprefix("./")] = content.read()
        return found

    @contextmanager
    def data(self) -> Iterator[tarfile.TarFile]:
        """The data tar as a stream: members in order, each readable until the next.

        Raises:
            DebError: it is missing, damaged, or compressed in an unknown way.
        """
        with self._tar("data.tar") as tar:
            yield tar

    @contextmanager
    def _tar(self, stem: str) -> Iterator[tarfile.TarFile]:
        found = [name for name in self._members if name == stem or name.startswith(f"{stem}.")]
        if len(found) != 1:
            raise DebError(f"{self.path.name} has {len(found)} {stem} members, not 1")
        offset, size = self._members[found[0]]
        with _explained(self.path), self.path.open("rb") as file:
            file.seek(offset)
            stream = _plain(_Window(file, size), found[0].removeprefix(stem), self.path)
            with tarfile.open(fileobj=stream, mode="r|", bufsize=_OUT) as tar:
                yield tar


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except (
        tarfile.TarError,
        lzma.LZMAError,
        zlib.error,
        EOFError,
        UnicodeDecodeError,
    ) as error:
        raise DebError(f"{path.name} is damaged: {error}") from error
    except OSError as error:
        if error.filename not in (None, str(path), path):
            raise
        raise DebError(f"cannot read {path}: {error.strerror or error}") from error


def _ar_members(file: IO[bytes], path: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name, and offset and size of the content, of every member."""
    if file.read(len(_MAGIC)) != _MAGIC:
        raise DebError(f"{path.name} is not a .deb: no ar archive")
    end = path.stat().st_size
    while header := file.read(_HEADER):
        size_field = header[48:58].strip()
        if len(header) != _HEADER or header[58:] != b"`\n" or not size_field.isdigit():
            raise DebError(f"{path.name} is damaged: bad ar header")
        name = header[:16].decode("ascii", "replace").strip().rstrip("/")
        size, offset = int(size_field), file.tell()
        if offset + size > end:
            raise DebError(f"{path.name} is truncated inside {name}")
        yield name, (offset, size)
        file.seek(offset + size + size % 2)


class _Window(io.RawIOBase):
    """The next `size` bytes of a file."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file, self._left = file, size

    def read(self, size: int = -1) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        data = self._file.read(wanted)
        self._left -= len(data)
        return data


class _Stream:
    """Decompressed bytes, in pieces large enough to leave the interpreter's lock alone."""

    def __init__(self, source: _Window, decompressor: _Decompressor) -> None:
        self._source, self._decompressor = source, decompressor
        self._pending = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; empty at the end. Raises EOFError when cut off."""
        out = bytearray()
        while len(out) < size and not self._decompressor.eof:
            data = self._feed()
            piece = self._decompressor.decompress(data, size - len(out))
            self._pending = getattr(self._decompressor, "unconsumed_tail", b"")
            out += piece
        return bytes(out)

    def _feed(self) -> bytes:
        if self._pending:
            return self._pending
        if not getattr(self._decompressor, "needs_input", True):
            return b""
        data = self._source.read(_IN)
        if not data:
            raise EOFError("it ends in the middle of compressed data")
        return data


def _plain(source: _Window, suffix: str, path: Path) -> IO[bytes]:
    """The tar inside, as something with `read`: tarfile asks for nothing else."""
    if suffix == "":
        return source  # type: ignore[return-value]  # tarfile only calls read
    if suffix == ".xz":
        return _Stream(source, lzma.LZMADecompressor())  # type: ignore[return-value]
    if suffix == ".gz":
        return _Stream(source, zlib.decompressobj(31))  # type: ignore[return-value]
    if suffix == ".bz2":
        return _Stream(source, bz2.BZ2Decompressor())  # type: ignore[return-value]
    if suffix == ".zst":
        return io.BytesIO(_unzstd(source.read(), path))
    raise DebError(f"{path.name} is compressed in an unknown way: {suffix}")


def _unzstd(data: bytes, path: Path) -> bytes:
    try:
        return run(["zstd", "-dcq"], stdin=data).stdout
    except ProgramNotFound as error:
        raise DebError(
            f"{path.name} is compressed with zstd, and there is no zstd program",
            "install zstd",
        ) from error
