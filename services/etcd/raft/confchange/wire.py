"""The little of protocol buffers that membership changes need: numbers and byte strings."""

from __future__ import annotations

from collections.abc import Iterator

from services.etcd.raft.errors import ConfChangeError

_VARINT, _FIXED64, _BLOB, _FIXED32 = 0, 1, 2, 5
_VARINT_BYTES = 10
_FIXED_SIZES = {_FIXED64: 8, _FIXED32: 4}


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def number(field: int, value: int) -> bytes:
    """A field that holds an unsigned number."""
    return _varint(field << 3 | _VARINT) + _varint(value)


def blob(field: int, value: bytes) -> bytes:
    """A field that holds bytes."""
    return _varint(field << 3 | _BLOB) + _varint(len(value)) + value


def fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and values in order. Raises ConfChangeError on malformed data."""
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        kind, value = key & 7, 0
        if kind == _VARINT:
            value, at = _read_varint(data, at)
            yield key >> 3, value
            continue
        if kind == _BLOB:
            size, at = _read_varint(data, at)
        elif kind in _FIXED_SIZES:
            size = _FIXED_SIZES[kind]
        else:
            raise ConfChangeError(f"configuration change holds wire type {kind}")
        if at + size > len(data):
            raise ConfChangeError("configuration change is cut short")
        yield key >> 3, data[at : at + size]
        at += size


def as_number(value: int | bytes) -> int:
    """The value of a number field. Raises ConfChangeError when it holds bytes."""
    if isinstance(value, bytes):
        raise ConfChangeError("configuration change holds bytes in place of a number")
    return value


def as_blob(value: int | bytes) -> bytes:
    """The value of a bytes field. Raises ConfChangeError when it holds a number."""
    if isinstance(value, int):
        raise ConfChangeError("configuration change holds a number in place of bytes")
    return value


def _read_varint(data: bytes, start: int) -> tuple[int, int]:
    value = 0
    for at, byte in enumerate(data[start : start + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return value & (1 << 64) - 1, start + at + 1
    raise ConfChangeError("configuration change holds an endless number")
