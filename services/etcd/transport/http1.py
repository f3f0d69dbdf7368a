"""HTTP/1.1 requests out of bytes (RFC 9112), strictly: what could be read two ways is refused.

A `Parser` handles one request at a time: `feed` returns what arrived, and after `End` it
keeps further bytes (a pipelined request) until `next_request`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from services.etcd.transport.errors import HttpError
from services.etcd.transport.http import Headers
from services.etcd.transport.limits import Limits

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([!-~]+) HTTP/1\.([01])\Z")
_FIELD = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\0-\x08\x0a-\x1f\x7f]*)\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\0-\x08\x0a-\x1f\x7f]*)?\Z")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_CRLF: Final = b"\r\n"


class _State(Enum):
    HEAD = "head"
    BODY = "body"
    CHUNK_SIZE = "chunk size"
    CHUNK = "chunk"
    CHUNK_END = "chunk end"
    TRAILERS = "trailers"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Head:
    """Request line and header fields, names in lower case."""

    method: str
    target: str
    version: str
    headers: Headers
    keep_alive: bool
    expects_continue: bool
    has_body: bool


class End:
    """The request is whole."""


END: Final = End()
Event = Head | bytes | End


class Parser:
    """The requests of one connection."""

    __slots__ = ("_buffer", "_left", "_limits", "_state", "_trailer_bytes")

    def __init__(self, limits: Limits) -> None:
        self._buffer = b""
        self._left = 0
        self._limits = limits
        self._state = _State.HEAD
        self._trailer_bytes = 0

    @property
    def buffered(self) -> int:
        """Bytes that are kept for later."""
        return len(self._buffer)

    def next_request(self) -> None:
        """The answer is out: read the next request."""
        self._state = _State.HEAD

    def feed(self, data: bytes) -> list[Event]:
        """Take bytes; returns what became whole.

        Raises HttpError: the request is refused, and the connection cannot go on.
        """
        self._buffer += data
        events: list[Event] = []
        while self._state is not _State.DONE:
            before = (self._state, len(self._buffer))
            self._step(events)
            if before == (self._state, len(self._buffer)):
                break
        return events

    def _step(self, events: list[Event]) -> None:
        state = self._state
        if state is _State.HEAD:
            self._read_head(events)
        elif state is _State.BODY or state is _State.CHUNK:
            self._read_data(events)
        elif state is _State.CHUNK_SIZE:
            self._read_chunk_size()
        elif state is _State.CHUNK_END:
            line = self._line(2)
            if line is not None:
                _require(not line, 400, "chunk longer than its size")
                self._state = _State.CHUNK_SIZE
        else:
            self._read_trailers(events)

    def _read_head(self, events: list[Event]) -> None:
        while self._buffer.startswith(_CRLF):
            self._buffer = self._buffer[2:]
        limits = self._limits
        end = self._buffer.find(b"\r\n\r\n")
        first = self._buffer.find(_CRLF)
        _require(max(first, 0) <= limits.http_line, 414, "request line too long")
        if end < 0:
            _require(len(self._buffer) <= limits.http_head, 431, "request head too large")
            _require(first >= 0 or len(self._buffer) <= limits.http_line, 414, "line too long")
            return
        _require(end <= limits.http_head, 431, "request head too large")
        lines = self._buffer[:end].split(_CRLF)
        self._buffer = self._buffer[end + 4 :]
        _require(len(lines) <= limits.http_fields + 1, 431, "too many header fields")
        head, length = _parse_head(lines)
        events.append(head)
        if not head.has_body:
            self._end(events)
        elif length is None:
            self._state = _State.CHUNK_SIZE
        else:
            self._left = length
            self._state = _State.BODY

    def _read_data(self, events: list[Event]) -> None:
        data, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
        self._left -= len(data)
        if data:
            events.append(data)
        if not self._left:
            if self._state is _State.CHUNK:
                self._state = _State.CHUNK_END
            else:
                self._end(events)

    def _read_chunk_size(self) -> None:
        line = self._line(self._limits.http_line)
        if line is None:
            return
        match = _CHUNK_SIZE.match(line)
        if match is None:
            raise HttpError(400, "malformed chunk size")
        self._left = int(match[1], 16)
        self._trailer_bytes = 0
        self._state = _State.CHUNK if self._left else _State.TRAILERS

    def _read_trailers(self, events: list[Event]) -> None:
        line = self._line(self._limits.http_line)
        if line is None:
            return
        self._trailer_bytes += len(line)
        _require(self._trailer_bytes <= self._limits.http_head, 431, "trailers too large")
        if line:
            _require(_FIELD.match(line) is not None, 400, "malformed trailer")
        else:
            self._end(events)

    def _line(self, limit: int) -> bytes | None:
        end = self._buffer.find(_CRLF)
        _require(max(end, 0) <= limit, 400, "line too long")
        if end < 0:
            _require(len(self._buffer) <= limit + 1, 400, "line too long")
            return None
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _end(self, events: list[Event]) -> None:
        self._state = _State.DONE
        events.append(END)


def _require(condition: bool, status: int, message: str) -> None:
    if not condition:
        raise HttpError(status, message)


def _parse_head(lines: list[bytes]) -> tuple[Head, int | None]:
    """The head, and the length of the body (None: chunked)."""
    match = _REQUEST_LINE.match(lines[0])
    if match is None:
        raise HttpError(400, "malformed request line")
    method, target, minor = match[1].decode(), match[2].decode(), match[3]
    fields = tuple(_parse_field(line) for line in lines[1:])
    hosts = _values(fields, "host")
    _require(len(hosts) == 1 or (minor == b"0" and not hosts), 400, "not one Host field")
    length = _body_length(fields, minor)
    connection = {
        token.strip().lower()
        for value in _values(fields, "connection")
        for token in value.split(",")
    }
    head = Head(
        method=method,
        target=_ABSOLUTE.sub("", target, count=1) or "/",
        version=f"1.{minor.decode()}",
        headers=fields,
        keep_alive="close" not in connection and (minor == b"1" or "keep-alive" in connection),
        expects_continue=_values(fields, "expect") == ["100-continue"] and minor == b"1",
        has_body=length != 0,
    )
    return head, length


def _parse_field(line: bytes) -> tuple[str, str]:
    match = _FIELD.match(line)
    if match is None:
        raise HttpError(400, "malformed header field")
    return match[1].decode().lower(), match[2].rstrip(b" \t").decode("latin-1")


def _values(fields: Headers, name: str) -> list[str]:
    return [value for key, value in fields if key == name]


def _body_length(fields: Headers, minor: bytes) -> int | None:
    """The announced length, or None for chunks (RFC 9112 section 6.3)."""
    coding = _values(fields, "transfer-encoding")
    lengths = _values(fields, "content-length")
    if coding:
        _require(not lengths and minor == b"1", 400, "Transfer-Encoding beside Content-Length")
        _require([c.lower() for c in coding] == ["chunked"], 501, "unknown Transfer-Encoding")
        return None
    if not lengths:
        return 0
    one = len(set(lengths)) == 1 and re.fullmatch(r"[0-9]{1,18}", lengths[0]) is not None
    _require(one, 400, "Content-Length is not one number")
    return int(lengths[0])
