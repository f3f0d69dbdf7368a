"""Calls served by a coroutine: unary ones that wait, and all streaming kinds.

Messages are read with `async for message in call` or `receive`, and sent with `send`, which
waits while the caller reads too slowly, or `write`, which never waits: its user must watch
`backlog`. When the call is over for any reason, the handler's task is cancelled and the
callbacks given to `add_done_callback` run.
"""

from __future__ import annotations

from asyncio import Future, Task
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from services.etcd.transport import grpc
from services.etcd.transport.calls import Call, timed
from services.etcd.transport.dispatch import outcome, unmarshal_text
from services.etcd.transport.errors import CallEnded, GrpcError, Status
from services.etcd.transport.hpack_table import Field
from services.etcd.transport.outbound import REPLY_TAIL

if TYPE_CHECKING:
    from services.etcd.transport.head import RequestHead
    from services.etcd.transport.session import Session


class StreamCall(Call):
    """One call with its handler's task."""

    __slots__ = (
        "_assembler",
        "_done",
        "_ended",
        "_head_sent",
        "_held",
        "_initial",
        "_inbox",
        "_queued",
        "_reader",
        "_task",
        "_trailers",
        "_writers",
    )

    eager = True

    def __init__(self, connection: Session, sid: int, head: RequestHead) -> None:
        super().__init__(connection, sid, head)
        self._assembler = connection.assembler(self.route)
        self._inbox: deque[tuple[bytes, int]] = deque()
        self._held = 0
        self._queued = 0
        self._ended = False
        self._head_sent = False
        self._initial: tuple[Field, ...] = ()
        self._trailers: tuple[Field, ...] = ()
        self._reader: Future[None] | None = None
        self._writers: list[Future[None]] = []
        self._task: Task[None] | None = None
        self._done: list[Callable[[], None]] = []

    # --- for handlers

    @property
    def backlog(self) -> int:
        """Bytes sent but held back by the caller's windows or socket."""
        return self.connection.backlog(self)

    async def receive(self) -> Any | None:
        """The next message, or None when the caller has sent its last.

        Raises CallEnded: the call is over. GrpcError: the message does not parse.
        """
        while not self._inbox:
            if self._ended:
                return None
            self._check_active()
            reader = self.connection.dispatcher.loop.create_future()
            self._reader = reader
            await reader
        payload, size = self._inbox.popleft()
        self._queued -= size
        self._count()
        self.connection.consumed(self, size)
        method = self.route.method
        try:
            return method.parse(payload)
        except method.malformed as error:
            raise GrpcError(Status.INTERNAL, unmarshal_text(error)) from None

    async def __aiter__(self) -> AsyncIterator[Any]:
        while (message := await self.receive()) is not None:
            yield message

    def write(self, message: Any) -> None:
        """Send a message without waiting.

        Raises CallEnded: the call is over.
        """
        self._check_active()
        route = self.route
        payload = route.method.serialise(message)
        self.send_initial_metadata()
        route.stats.messages_out += 1
        compress = self.connection.compresses(route, len(payload))
        self.connection.send_data(self, grpc.frame_message(payload, compress))

    async def send(self, message: Any) -> None:
        """Send a message, then wait while too much is held back.

        Raises CallEnded: the call is over.
        """
        self.write(message)
        if self.backlog > self.connection.limits.stream_high_water:
            await self.drain()

    async def drain(self) -> None:
        """Wait until little is held back.

        Raises CallEnded: the call is over.
        """
        while self.backlog > self.connection.limits.stream_high_water // 2:
            self._check_active()
            waiter = self.connection.dispatcher.loop.create_future()
            self._writers.append(waiter)
            await waiter
        self._check_active()

    def set_initial_metadata(self, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        """Metadata to go before the first message."""
        self._initial = grpc.encode_metadata(metadata)

    def set_trailers(self, metadata: tuple[tuple[str, str | bytes], ...]) -> None:
        """Metadata to go after the last message of a call that ends well."""
        self._trailers = grpc.encode_metadata(metadata)

    def send_initial_metadata(self) -> None:
        """Send the response's head now, so that the caller knows the call has begun."""
        if not self._head_sent and self.active:
            self._head_sent = True
            route = self.route
            encoding = ((b"grpc-encoding", b"gzip"),) if route.gzip else ()
            self.connection.send_head(self, (*route.head_fields, *encoding, *self._initial))

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Have `callback` run once, when the call is over."""
        if self.active:
            self._done.append(callback)
        else:
            callback()

    def finish(self) -> None:
        """End the call well; handlers just return instead."""
        if not self.active:
            return
        self.route.stats.ok += 1
        self._forget_deadline()
        self._send_tail((*REPLY_TAIL, *self._trailers))
        self._over()

    def fail(
        self, status: Status, message: str = "", metadata: tuple[tuple[str, str | bytes], ...] = ()
    ) -> None:
        if self.active:
            super().fail(status, message, metadata)
            self._over()

    # --- events

    def opened(self, ended: bool) -> None:
        self._ended = ended
        self.route.stats.started += 1
        self._task = self.connection.dispatcher.spawn(self._run(), self._on_task_done)

    def received(self, payload: bytes, ended: bool) -> None:
        assembler = self._assembler
        try:
            messages = assembler.feed(payload)
            if ended and assembler.held:
                raise GrpcError(Status.INTERNAL, "unexpected EOF")
        except GrpcError as error:
            self._refuse(error)
            return
        self._ended = ended
        self._inbox.extend(messages)
        self._queued += sum(size for _, size in messages)
        self.route.stats.messages_in += len(messages)
        self._count()
        if not ended:
            self.connection.expect(self, assembler.missing)
        if messages or ended:
            self._wake_reader()

    def aborted(self, code: int) -> None:
        super().aborted(code)
        self._over()

    def writable(self) -> None:
        writers, self._writers = self._writers, []
        for waiter in writers:
            if not waiter.done():
                waiter.set_result(None)

    # --- inside

    async def _run(self) -> None:
        method = self.route.method
        if method.kind.one_request:
            result = await method.handler(await self._only_request(), self)
        else:
            result = await method.handler(self)
        if method.kind.one_response and self.active:
            self.write(result)
        self._task = None
        self.finish()

    async def _only_request(self) -> Any:
        request = await self.receive()
        if request is None:
            raise GrpcError(Status.INTERNAL, "cardinality violation: no request message")
        if self.route.method.kind.one_response and await self.receive() is not None:
            text = "cardinality violation: more than one request message"
            raise GrpcError(Status.INTERNAL, text)
        return request

    def _on_task_done(self, task: Task[None]) -> None:
        self._task = None
        if not task.cancelled() and isinstance(task.exception(), CallEnded):
            return
        error = outcome(task)
        if error is not None:
            self._refuse(error)

    def _send_tail(self, tail: tuple[Field, ...]) -> None:
        if self._head_sent:
            self.connection.send_head(self, tail, end=True)
        else:
            super()._send_tail(tail)

    def _count(self) -> None:
        """Tell the connection how much of what it received is kept here."""
        held = self._assembler.held + self._queued
        self.connection.hold(held - self._held)
        self._held = held

    def _check_active(self) -> None:
        if not self.active:
            raise CallEnded("the call is over")

    def _wake_reader(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def _over(self) -> None:
        """Let go of everything: memory counted, handler, those who wanted to know."""
        self._inbox.clear()
        self._queued = 0
        self._assembler = self.connection.assembler(self.route)
        self._count()
        done, self._done = self._done, []
        for callback in done:
            callback()
        if self._task is not None and not self._task.done():
            self._task.cancel()


def make_timed_stream(connection: Session, sid: int, head: RequestHead) -> Call:
    """A call served by a coroutine, with a deadline."""
    return timed(StreamCall(connection, sid, head))
