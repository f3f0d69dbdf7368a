"""An HTTP/1.1 connection that serves: one request after the other, keep-alive, chunks.

It has the same face towards the socket as the HTTP/2 `Session`: `receive`, `take`,
`finished`, `abort`, `drain`, `set_socket_ready`.
"""

from __future__ import annotations

import time
from asyncio import Future, Task
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from http import HTTPStatus

from services.etcd.transport.dispatch import Dispatcher, outcome
from services.etcd.transport.errors import CallEnded, HttpError
from services.etcd.transport.http import (
    Body,
    HttpRequest,
    HttpResponse,
    answer,
    header_fields,
    text_response,
)
from services.etcd.transport.http1 import END, Head, Parser
from services.etcd.transport.peer import Peer

_BODY_AHEAD = 256 << 10
"""Bytes of a body, or of pipelined requests, read before their turn."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NO_BODY = (204, 304)


class Http1Session:
    """One HTTP/1.1 peer of a server."""

    def __init__(
        self, dispatcher: Dispatcher, peer: Peer, wake: Callable[[], None], now: float
    ) -> None:
        self.dispatcher = dispatcher
        self.peer = peer
        self.now = now
        self.draining = False
        self.closed = False
        self._wake = wake
        self._parser = Parser(dispatcher.limits)
        self._out: list[bytes] = []
        self._head: Head | None = None
        self._body: Body | None = None
        self._task: Task[None] | None = None
        self._socket_ready = True
        self._writer: Future[None] | None = None
        self._since = now
        """When the connection last became idle, or the head began to arrive."""
        self._begun = False
        """The head of the response is out."""

    # --- the face towards the socket

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the peer."""
        self.now = now
        if self.closed:
            return
        try:
            events = self._parser.feed(data)
        except HttpError as error:
            self._refuse(error)
            return
        for event in events:
            if isinstance(event, Head):
                self._start(event)
            elif self._body is not None:
                if event is END:
                    self._body.feed(b"", True)
                elif isinstance(event, bytes):
                    self._body.feed(event, False)

    def take(self) -> bytes:
        """All collected output."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def finished(self) -> bool:
        """Whether the socket may close."""
        return self.closed or (self.draining and self._task is None)

    def reading(self) -> bool:
        """Whether more bytes are wanted."""
        ahead = self._parser.buffered + (self._body.size if self._body else 0)
        return ahead <= _BODY_AHEAD

    def abort(self) -> None:
        """The socket is gone."""
        self.closed = True
        if self._body is not None:
            self._body.lose()
        if self._task is not None:
            self._task.cancel()

    def drain(self) -> None:
        """Close after the request that is being served, if any."""
        self.draining = True
        self._wake()

    def finish_drain(self) -> None:
        """HTTP/1.1 needs no second step."""

    def set_socket_ready(self, ready: bool) -> None:
        """The socket's buffer is full, or has room again."""
        self._socket_ready = ready
        writer, self._writer = self._writer, None
        if writer is not None and ready and not writer.done():
            writer.set_result(None)
        elif writer is not None:
            self._writer = writer

    def overdue(self, now: float) -> bool:
        """Whether the peer has taken too long with its next request."""
        return self._head is None and now - self._since > self.dispatcher.limits.http_idle

    # --- requests

    def _start(self, head: Head) -> None:
        dispatcher = self.dispatcher
        self._head = head
        self._begun = False
        self._body = Body(dispatcher.limits.message, dispatcher.loop.create_future, self._consumed)
        if head.expects_continue and head.has_body:
            self._emit(_CONTINUE)
        request = HttpRequest(
            method=head.method,
            target=head.target,
            headers=head.headers,
            body=self._body,
            peer=self.peer,
            version=head.version,
        )
        self._task = dispatcher.spawn(self._run(head, request), self._on_task_done)

    def _consumed(self, size: int) -> None:
        self._wake()

    async def _run(self, head: Head, request: HttpRequest) -> None:
        response = await answer(self.dispatcher.http, request)
        keep = head.keep_alive and not self.draining
        if isinstance(response.body, bytes):
            self._send_whole(head, response, keep and request.body.ended)
        else:
            await self._send_stream(head, response, response.body, keep)

    def _send_whole(self, head: Head, response: HttpResponse, keep: bool) -> None:
        assert isinstance(response.body, bytes)
        if not keep:
            self.closed = True
        length = f"{len(response.body)}" if response.status not in _NO_BODY else ""
        out = self._response_head(head, response, keep, ("content-length", length))
        bare = head.method == "HEAD" or response.status in _NO_BODY
        self._emit(out if bare else out + response.body)

    async def _send_stream(
        self, head: Head, response: HttpResponse, body: AsyncIterator[bytes], keep: bool
    ) -> None:
        chunked = head.version == "1.1"
        keep = keep and chunked
        coding = ("transfer-encoding", "chunked" if chunked else "")
        self._emit(self._response_head(head, response, keep, coding))
        self._begun = True
        async for chunk in body:
            if chunk and head.method != "HEAD":
                await self._send(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if chunked and head.method != "HEAD":
            self._emit(b"0\r\n\r\n")
        if not (keep and self._body is not None and self._body.ended):
            self.closed = True

    def _on_task_done(self, task: Task[None]) -> None:
        self._task = None
        head, self._head = self._head, None
        if self.closed and not self._out:
            self._wake()
            return
        if not task.cancelled() and isinstance(task.exception(), CallEnded):
            self.closed = True
        elif outcome(task) is not None:
            if head is not None and not self._begun:
                response = text_response(500, "internal error")
                self._send_whole(head, response, keep=False)
            self.closed = True
        self._wake()
        if not self.closed:
            self._body = None
            self._since = self.now
            self._parser.next_request()
            self.receive(b"", self.now)

    # --- output

    def _emit(self, data: bytes) -> None:
        if not self._out:
            self._wake()
        self._out.append(data)

    async def _send(self, data: bytes) -> None:
        if self.closed:
            raise CallEnded("the peer went away")
        self._emit(data)
        while not self._socket_ready:
            writer = self.dispatcher.loop.create_future()
            self._writer = writer
            await writer

    def _refuse(self, error: HttpError) -> None:
        """Answer what cannot be parsed, unless an answer is already on its way."""
        if self._task is not None:
            self.abort()
            return
        self.closed = True
        head = Head("GET", "/", "1.1", (), False, False, False)
        self._emit_refusal(head, text_response(error.status, error.message))

    def _emit_refusal(self, head: Head, response: HttpResponse) -> None:
        assert isinstance(response.body, bytes)
        length = ("content-length", f"{len(response.body)}")
        self._emit(self._response_head(head, response, False, length) + response.body)

    @staticmethod
    def _response_head(
        head: Head, response: HttpResponse, keep: bool, framing: tuple[str, str]
    ) -> bytes:
        fields = header_fields((*response.headers, *([framing] if framing[1] else [])))
        lines = [
            f"HTTP/1.1 {response.status} {_reason(response.status)}".encode(),
            *(b"%b: %b" % field for field in fields),
            f"date: {formatdate(time.time(), usegmt=True)}".encode(),
        ]
        if not keep:
            lines.append(b"connection: close")
        elif head.version == "1.0":
            lines.append(b"connection: keep-alive")
        return b"\r\n".join((*lines, b"", b""))


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
