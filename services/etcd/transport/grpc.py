"""gRPC over HTTP/2, the wire part: messages, timeouts, status texts, metadata, compression.

Pure functions and one assembler of messages; see the "gRPC over HTTP2" protocol document.
Texts of errors are grpc-go's, since clients of the original see those.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import re
import zlib
from collections.abc import Iterable

from services.etcd.transport.errors import GrpcError, Status
from services.etcd.transport.hpack_table import Field

Metadata = tuple[tuple[str, str | bytes], ...]

PREFIX = 5
"""Bytes before a message: the compressed flag and the length."""

_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])\Z")
_UNITS = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_UNPRINTABLE = re.compile(rb"[^ -$&-~]")
_RESERVED = frozenset(
    (b"content-type", b"te", b"user-agent", b"content-length", b"host", b"accept-encoding")
)
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_GZIP_LEVEL = 1


def frame_message(payload: bytes, compress: bool = False) -> bytes:
    """A message with its prefix, compressed with gzip when asked."""
    if compress:
        payload = gzip.compress(payload, _GZIP_LEVEL, mtime=0)
    return bytes((compress,)) + len(payload).to_bytes(4, "big") + payload


def parse_timeout(value: bytes) -> float:
    """Seconds in a grpc-timeout value.

    Raises GrpcError: it is not one.
    """
    match = _TIMEOUT.match(value)
    if match is None:
        text = value.decode("ascii", "backslashreplace")
        raise GrpcError(Status.INTERNAL, f"malformed grpc-timeout: {text}")
    return int(match[1]) * _UNITS[match[2]]


def encode_status_message(text: str) -> bytes:
    """The value of grpc-message: UTF-8, with all but printable ASCII percent-encoded."""
    return _UNPRINTABLE.sub(lambda m: b"%%%02X" % m[0][0], text.encode("utf-8", "replace"))


def decode_metadata(fields: Iterable[Field]) -> Metadata:
    """The caller's metadata in a request's fields; `-bin` values as bytes.

    Raises GrpcError: a `-bin` value is not base64.
    """
    result: list[tuple[str, str | bytes]] = []
    for name, value in fields:
        if name in _RESERVED or name.startswith(b"grpc-"):
            continue
        key = name.decode("ascii")
        if not name.endswith(b"-bin"):
            result.append((key, value.decode("utf-8", "replace")))
            continue
        for part in value.split(b","):
            result.append((key, _decode_binary(key, part.strip())))
    return tuple(result)


def _decode_binary(key: str, part: bytes) -> bytes:
    try:
        return base64.b64decode(part + b"=" * (-len(part) % 4), validate=True)
    except binascii.Error:
        message = f"malformed binary metadata in header {key}"
        raise GrpcError(Status.INTERNAL, message) from None


def encode_metadata(pairs: Iterable[tuple[str, str | bytes]]) -> tuple[Field, ...]:
    """Metadata as header fields; `-bin` keys take bytes, all others text.

    Raises ValueError: a key or a value that may not travel in a header.
    """
    fields: list[Field] = []
    for key, value in pairs:
        name = key.lower().encode("ascii")
        binary = name.endswith(b"-bin")
        raw = value.encode() if isinstance(value, str) else value
        if binary:
            raw = base64.b64encode(raw).rstrip(b"=")
        if not re.fullmatch(rb"[0-9a-z_.-]+", name) or re.search(rb"[^ -~]", raw):
            raise ValueError(f"metadata {key!r} may not travel in a header")
        fields.append((name, raw.strip()))
    return tuple(fields)


def decompress(payload: bytes, limit: int) -> bytes:
    """The message in a gzip stream of at most `limit` bytes.

    Raises GrpcError: too long, cut, or no gzip at all.
    """
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        message = stream.decompress(payload, limit + 1)
    except zlib.error as error:
        text = f"grpc: failed to decompress the received message: {error}"
        raise GrpcError(Status.INTERNAL, text) from None
    if len(message) > limit:
        text = "grpc: received message after decompression larger than max"
        raise GrpcError(Status.RESOURCE_EXHAUSTED, f"{text} ({len(message)} vs. {limit})")
    if not stream.eof:
        text = "grpc: failed to decompress the received message: unexpected EOF"
        raise GrpcError(Status.INTERNAL, text)
    return message


class Assembler:
    """Cuts a stream of bytes into messages."""

    __slots__ = ("_buffer", "_gzip", "_limit")

    def __init__(self, limit: int, gzip: bool) -> None:
        self._buffer = bytearray()
        self._limit = limit
        self._gzip = gzip

    def feed(self, payload: bytes) -> list[tuple[bytes, int]]:
        """Take bytes; returns whole messages with the bytes each took on the wire.

        Raises GrpcError: a message too long, or compressed in a way not agreed upon.
        """
        buffer = self._buffer
        buffer += payload
        messages: list[tuple[bytes, int]] = []
        at = 0
        while len(buffer) - at >= PREFIX:
            length = int.from_bytes(buffer[at + 1 : at + PREFIX], "big")
            self._check(buffer[at], length)
            end = at + PREFIX + length
            if end > len(buffer):
                break
            message = bytes(buffer[at + PREFIX : end])
            if buffer[at]:
                message = decompress(message, self._limit)
            messages.append((message, end - at))
            at = end
        del buffer[:at]
        return messages

    @property
    def held(self) -> int:
        """Bytes of the unfinished message that are here."""
        return len(self._buffer)

    @property
    def missing(self) -> int:
        """Bytes of the unfinished message that are not, 0 while its length is unknown."""
        if len(self._buffer) < PREFIX:
            return 0
        return PREFIX + int.from_bytes(self._buffer[1:PREFIX], "big") - len(self._buffer)

    def _check(self, flag: int, length: int) -> None:
        if length > self._limit:
            text = f"grpc: received message larger than max ({length} vs. {self._limit})"
            raise GrpcError(Status.RESOURCE_EXHAUSTED, text)
        if flag > 1:
            text = f"grpc: received unexpected payload format {flag}"
            raise GrpcError(Status.INTERNAL, text)
        if flag and not self._gzip:
            text = "grpc: compressed flag set with identity or empty encoding"
            raise GrpcError(Status.INTERNAL, text)
