"""A plain HTTP request over HTTP/2: the gateway and `/health` on a port that speaks gRPC."""

from __future__ import annotations

from asyncio import Future, Task
from typing import TYPE_CHECKING

from services.etcd.transport.dispatch import outcome
from services.etcd.transport.errors import CallEnded, ErrorCode
from services.etcd.transport.hpack_table import Field
from services.etcd.transport.http import Body, HttpRequest, HttpResponse, answer, header_fields
from services.etcd.transport.streams import Stream

if TYPE_CHECKING:
    from services.etcd.transport.head import RequestHead
    from services.etcd.transport.session import Session


class HttpExchange(Stream):
    """One request with its handler's task."""

    __slots__ = ("_body", "_head_sent", "_held", "_task", "_writers")

    eager = True
    connection: Session

    def __init__(self, connection: Session, sid: int, head: RequestHead) -> None:
        super().__init__(connection, sid, head)
        loop = connection.dispatcher.loop
        self._body = Body(connection.limits.message, loop.create_future, self._consumed)
        self._head_sent = False
        self._held = 0
        self._task: Task[None] | None = None
        self._writers: list[Future[None]] = []

    def opened(self, ended: bool) -> None:
        self._body.feed(b"", ended)
        self._task = self.connection.dispatcher.spawn(self._run(), self._on_task_done)

    def received(self, payload: bytes, ended: bool) -> None:
        self._body.feed(payload, ended)
        self._count()

    def aborted(self, code: int) -> None:
        self._body.lose()
        self._count()
        if self._task is not None:
            self._task.cancel()

    def writable(self) -> None:
        writers, self._writers = self._writers, []
        for waiter in writers:
            if not waiter.done():
                waiter.set_result(None)

    def _consumed(self, size: int) -> None:
        if self.state:
            self._count()
            self.connection.consumed(self, size)

    def _count(self) -> None:
        """Tell the connection how much of what it received is kept here."""
        held = self._body.size if self.state else 0
        self.connection.hold(held - self._held)
        self._held = held

    def _request(self) -> HttpRequest:
        head = self.head
        fields = head.fields
        if head.authority:
            fields = ((b"host", head.authority), *(f for f in fields if f[0] != b"host"))
        return HttpRequest(
            method=head.method.decode("latin-1"),
            target=head.path.decode("latin-1"),
            headers=tuple((k.decode("latin-1"), v.decode("latin-1")) for k, v in fields),
            body=self._body,
            peer=self.connection.peer,
            version="2",
        )

    async def _run(self) -> None:
        request = self._request()
        response = await answer(self.connection.dispatcher.http, request)
        head: tuple[Field, ...] = (
            (b":status", b"%d" % response.status),
            *header_fields(response.headers),
        )
        if isinstance(response.body, bytes):
            self._send_whole(request, response, head)
            return
        self._send_head(head)
        async for chunk in response.body:
            if chunk:
                await self._send(chunk)
        self._task = None
        self._end(b"")

    def _send_whole(
        self, request: HttpRequest, response: HttpResponse, head: tuple[Field, ...]
    ) -> None:
        assert isinstance(response.body, bytes)
        self._task = None
        empty = not response.body or request.method == "HEAD"
        if response.status not in (204, 304):
            head = (*head, (b"content-length", b"%d" % len(response.body)))
        self._send_head(head, end=empty)
        if not empty:
            self._end(response.body)

    def _send_head(self, head: tuple[Field, ...], end: bool = False) -> None:
        self._head_sent = True
        self.connection.send_head(self, head, end)
        self._count()

    def _end(self, data: bytes) -> None:
        self.connection.send_data(self, data, end=True)
        self._count()

    async def _send(self, chunk: bytes) -> None:
        connection = self.connection
        if not self.state:
            raise CallEnded("the peer went away")
        connection.send_data(self, chunk)
        while connection.backlog(self) > connection.limits.stream_high_water:
            waiter = connection.dispatcher.loop.create_future()
            self._writers.append(waiter)
            await waiter

    def _on_task_done(self, task: Task[None]) -> None:
        self._task = None
        if not task.cancelled() and isinstance(task.exception(), CallEnded):
            return
        if outcome(task) is None or not self.state:
            return
        if self._head_sent:
            self.connection.reset(self, ErrorCode.INTERNAL_ERROR)
        else:
            self.connection.send_head(self, ((b":status", b"500"),), end=True)
        self._count()
