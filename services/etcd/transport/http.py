"""HTTP requests and responses, the same for HTTP/1.1 and HTTP/2.

A handler is `async def handler(request: HttpRequest) -> HttpResponse`. The body of a request
is read whole with `await request.body.read()` or piece by piece with `async for`; that of a
response is bytes, or an asynchronous iterator for answers without a known end.
"""

from __future__ import annotations

from asyncio import Future
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from services.etcd.transport.errors import CallEnded, HttpError
from services.etcd.transport.hpack_table import Field
from services.etcd.transport.peer import Peer

Headers = tuple[tuple[str, str], ...]


class Body:
    """The body of a request, as it arrives."""

    __slots__ = ("_chunks", "_consumed", "_ended", "_future", "_limit", "_lost", "_waiter", "size")

    def __init__(
        self,
        limit: int,
        future: Callable[[], Any],
        consumed: Callable[[int], None],
    ) -> None:
        self._chunks: deque[bytes] = deque()
        self._limit = limit
        self._future = future
        self._consumed = consumed
        self._ended = False
        self._lost = False
        self._waiter: Future[None] | None = None
        self.size = 0
        """Bytes waiting to be read."""

    def feed(self, data: bytes, ended: bool) -> None:
        """More is here."""
        if data:
            self._chunks.append(data)
            self.size += len(data)
        self._ended = self._ended or ended
        self._wake()

    def lose(self) -> None:
        """No more will come: the peer is gone."""
        self._lost = True
        self._wake()

    @property
    def ended(self) -> bool:
        """Whether all of it has arrived."""
        return self._ended

    async def read(self) -> bytes:
        """All of it.

        Raises HttpError: above the limit. CallEnded: the peer went away before its end.
        """
        chunks: list[bytes] = []
        total = 0
        async for chunk in self:
            total += len(chunk)
            if total > self._limit:
                raise HttpError(413, f"request body larger than {self._limit} bytes")
            chunks.append(chunk)
        return b"".join(chunks)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            while self._chunks:
                chunk = self._chunks.popleft()
                self.size -= len(chunk)
                self._consumed(len(chunk))
                yield chunk
            if self._lost:
                raise CallEnded("the peer went away")
            if self._ended:
                return
            waiter = self._future()
            self._waiter = waiter
            await waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request. Header names are in lower case."""

    method: str
    target: str
    """As sent: path and query, not decoded."""
    headers: Headers
    body: Body
    peer: Peer
    version: str
    """`1.0`, `1.1` or `2`."""

    @property
    def path(self) -> str:
        """The path, percent-decoded."""
        return unquote(self.target.partition("?")[0])

    @property
    def query(self) -> str:
        """What follows the question mark, as sent."""
        return self.target.partition("?")[2]

    def header(self, name: str, default: str = "") -> str:
        """The first field of that name."""
        return next((value for key, value in self.headers if key == name), default)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """One response; `content-length` and `date` are added where they belong."""

    status: int = 200
    headers: Headers = ()
    body: bytes | AsyncIterator[bytes] = b""


HttpHandler = Callable[[HttpRequest], Awaitable[HttpResponse]]


def text_response(status: int, text: str) -> HttpResponse:
    """A line of plain text."""
    headers = (
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
    )
    return HttpResponse(status, headers, text.encode() + b"\n")


async def answer(handler: HttpHandler | None, request: HttpRequest) -> HttpResponse:
    """The handler's response, or the one that tells of its refusal."""
    if handler is None:
        return text_response(404, "404 page not found")
    try:
        return await handler(request)
    except HttpError as error:
        return text_response(error.status, error.message)


def header_fields(headers: Headers) -> tuple[Field, ...]:
    """Headers as the bytes that travel.

    Raises ValueError: a name or value that could end the field or the head.
    """
    fields: list[Field] = []
    for name, value in headers:
        field = (name.lower().encode("ascii"), value.encode("latin-1", "replace"))
        if any(byte in b"\r\n\0" for byte in field[0] + field[1]) or b":" in field[0][1:]:
            raise ValueError(f"header {name!r} may not travel")
        fields.append(field)
    return tuple(fields)
