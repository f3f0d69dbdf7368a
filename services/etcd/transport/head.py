"""Request heads: the header list of a request, checked once (RFC 9113 section 8).

A connection remembers heads by their encoded block, so the checks and the routing behind
`RequestHead.make` run once per distinct list of fields, not once per request.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from services.etcd.transport.errors import TransportError
from services.etcd.transport.hpack_table import Field

if TYPE_CHECKING:
    from services.etcd.transport.streams import Stream

_PSEUDO = {b":method": 0, b":scheme": 1, b":path": 2, b":authority": 3}
_HOP_BY_HOP = frozenset(
    (b"connection", b"proxy-connection", b"keep-alive", b"transfer-encoding", b"upgrade")
)
_BAD_NAME = re.compile(rb"[^!#$%&'*+\-.^_`|~0-9a-z]")
_BAD_VALUE = re.compile(rb"[\0\r\n]|\A[ \t]|[ \t]\Z")
_DIGITS = re.compile(rb"[0-9]{1,18}\Z")


class MalformedHead(TransportError):
    """A header list that is no request: the stream is reset with PROTOCOL_ERROR."""


class RequestHead:
    """One request's pseudo-header fields, and its other fields in order."""

    __slots__ = (
        "authority",
        "content_length",
        "fields",
        "make",
        "method",
        "path",
        "route",
        "scheme",
        "timeout",
    )

    def __init__(self, pseudo: list[bytes | None], fields: tuple[Field, ...]) -> None:
        method, scheme, path, authority = pseudo
        if not method or not scheme or not path:
            raise MalformedHead("a pseudo-header field is missing")
        self.method = method
        self.scheme = scheme
        self.path = path
        self.authority = authority or b""
        self.fields = fields
        self.content_length = -1
        """Announced length of the body, or -1."""
        self.make: Callable[[Any, int, RequestHead], Stream] = _unrouted
        """Creates the stream of a request with this head; set by `Connection.resolve`."""
        self.route: Any = None
        """Whatever `Connection.resolve` wants to find again in the stream."""
        self.timeout = 0.0
        """Seconds from the head's arrival that the peer wants to wait; 0 means for ever."""

    def variant(
        self, make: Callable[[Any, int, RequestHead], Stream], timeout: float
    ) -> RequestHead:
        """The same request with a deadline."""
        head = RequestHead.__new__(RequestHead)
        head.method = self.method
        head.scheme = self.scheme
        head.path = self.path
        head.authority = self.authority
        head.fields = self.fields
        head.content_length = self.content_length
        head.route = self.route
        head.make = make
        head.timeout = timeout
        return head


def _unrouted(connection: object, sid: int, head: RequestHead) -> Stream:
    raise MalformedHead("head was not routed")


def parse_head(fields: tuple[Field, ...]) -> RequestHead:
    """The request in a decoded header list.

    Raises MalformedHead: pseudo-header fields missing, doubled, unknown or late; names or
    values with characters that have no place there; fields of HTTP/1.1 connections.
    """
    pseudo: list[bytes | None] = [None, None, None, None]
    regular: list[Field] = []
    length = -1
    for name, value in fields:
        if name[:1] == b":":
            _take_pseudo(pseudo, name, value, bool(regular))
            continue
        check_field(name, value)
        if name == b"content-length":
            if not _DIGITS.match(value) or length not in (-1, int(value)):
                raise MalformedHead("content-length is not one number")
            length = int(value)
        regular.append((name, value))
    head = RequestHead(pseudo, tuple(regular))
    head.content_length = length
    return head


def _take_pseudo(pseudo: list[bytes | None], name: bytes, value: bytes, late: bool) -> None:
    slot = _PSEUDO.get(name)
    if slot is None or late or pseudo[slot] is not None or _BAD_VALUE.search(value):
        raise MalformedHead("pseudo-header field unknown, doubled, late or malformed")
    pseudo[slot] = value


def check_field(name: bytes, value: bytes) -> None:
    """Check a regular field of a request or of trailers.

    Raises MalformedHead: it may not occur in HTTP/2.
    """
    if not name or _BAD_NAME.search(name) or _BAD_VALUE.search(value):
        raise MalformedHead("field with characters that may not occur")
    if name in _HOP_BY_HOP or (name == b"te" and value != b"trailers"):
        raise MalformedHead("field of an HTTP/1.1 connection")
