"""The heart of the batching: what arrived in one tick of the loop is handled as one batch.

Calls of batched methods collect while sockets are read; one `tick` then hands each batch to
its handler and writes each connection's output once. A tick runs at the end of a read when
the same connection was read the last time too (nothing else to wait for), otherwise when the
loop has read every ready socket. An application that answers later, say when a write is
durable, may call `tick` after its last reply to save one turn of the loop.
"""

from __future__ import annotations

import logging
from asyncio import Task
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Protocol

from services.etcd.transport.deadlines import RESOLUTION, Deadlines
from services.etcd.transport.errors import GrpcError, Status
from services.etcd.transport.limits import Limits
from services.etcd.transport.methods import Method, MethodStats, MethodTable

if TYPE_CHECKING:
    from services.etcd.transport.calls import Call, UnaryCall
    from services.etcd.transport.http import HttpHandler

log = logging.getLogger("strake.etcd.transport")


class Loop(Protocol):
    """The part of an event loop that is needed here; tests bring their own."""

    def time(self) -> float:
        """Seconds of a steady clock."""

    def call_soon(self, callback: Callable[[], object]) -> object:
        """Run after the sockets that are ready now were read."""

    def call_at(self, when: float, callback: Callable[[], object]) -> object:
        """Run at a time of the clock."""

    def create_task(self, coro: Coroutine[Any, Any, None]) -> Task[None]:
        """Start a coroutine."""

    def create_future(self) -> Any:
        """A future of this loop."""


class Link(Protocol):
    """A connection with a socket."""

    def flush(self) -> None:
        """Write the collected output."""


class Batch:
    """Calls waiting for one handler."""

    __slots__ = ("_handler", "calls", "dispatcher")

    def __init__(self, dispatcher: Dispatcher, handler: Callable[[list[UnaryCall]], None]) -> None:
        self.calls: list[UnaryCall] = []
        self.dispatcher = dispatcher
        self._handler = handler

    def add(self, call: UnaryCall) -> None:
        """One more call, whose request is raw bytes so far."""
        if not self.calls:
            self.dispatcher.schedule(self)
        self.calls.append(call)

    def run(self) -> None:
        """Parse the requests and hand the calls over.

        A handler that raises has a defect: it is logged, and the calls of the batch that
        have no answer yet get INTERNAL. Whoever else is served in this tick must not suffer.
        """
        arrived = self.calls
        self.calls = []
        try:
            self._handler(_parse_all(arrived))
        except Exception:
            log.exception("a handler failed")
            for call in arrived:
                call.fail(Status.INTERNAL, "internal error")


def _parse_all(arrived: list[UnaryCall]) -> list[UnaryCall]:
    """Turn bytes into requests; calls that are over, or do not parse, are left out."""
    over = False
    for call in arrived:
        if not call.state:
            over = True
            continue
        route = call.route
        route.stats.started += 1
        method = route.method
        try:
            call.request = method.parse(call.request)
        except method.malformed as error:
            call.fail(Status.INTERNAL, unmarshal_text(error))
            over = True
    return [call for call in arrived if call.state] if over else arrived


def unmarshal_text(error: Exception) -> str:
    """grpc-go's words for a request that does not parse."""
    return f"grpc: error unmarshalling request: {error}"


class Dispatcher:
    """Shared by all connections of a server."""

    def __init__(
        self,
        loop: Loop,
        methods: MethodTable,
        http: HttpHandler | None = None,
        limits: Limits | None = None,
    ) -> None:
        self.loop = loop
        self.methods = methods
        self.http = http
        self.limits = limits or Limits()
        self.stats = {path: MethodStats() for path in methods}
        self.deadlines = Deadlines()
        self.bytes_in = 0
        self.bytes_out = 0
        self._batches: dict[Callable[..., Any], Batch] = {}
        self._pending: list[Batch] = []
        self._dirty: list[Link] = []
        self._scheduled = False
        self._reading = False
        self._last_link: Link | None = None
        self._alarm = False
        self._tasks: set[Task[None]] = set()

    # --- ticks

    def read(self, link: Link, receive: Callable[[bytes, float], None], data: bytes) -> None:
        """Pass bytes to a connection, and run or arrange the tick."""
        self.bytes_in += len(data)
        self._reading = True
        try:
            receive(data, self.loop.time())
        finally:
            self._reading = False
        if self._pending or self._dirty:
            if link is self._last_link:
                self.tick()
            else:
                self._arrange()
        self._last_link = link

    def touch(self, link: Link) -> None:
        """A connection has output."""
        self._dirty.append(link)
        self._arrange()

    def schedule(self, batch: Batch) -> None:
        """A batch has its first call."""
        self._pending.append(batch)
        self._arrange()

    def tick(self) -> None:
        """Run all waiting batches, then write every connection's output."""
        self._scheduled = False
        while self._pending:
            self._pending.pop(0).run()
        dirty, self._dirty = self._dirty, []
        for link in dirty:
            link.flush()

    def _arrange(self) -> None:
        if not self._scheduled and not self._reading:
            self._scheduled = True
            self.loop.call_soon(self.tick)

    # --- methods, tasks, deadlines

    def batch(self, method: Method) -> Batch:
        """The batch that calls of a batched method join."""
        batch = self._batches.get(method.handler)
        if batch is None:
            batch = self._batches[method.handler] = Batch(self, method.handler)
        return batch

    def spawn(self, coro: Coroutine[Any, Any, None], done: Callable[[Task[None]], None]) -> Any:
        """Start a handler; `done` hears of its end."""
        task = self.loop.create_task(coro)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(done)
        return task

    @property
    def running(self) -> int:
        """Handlers that have not ended."""
        return len(self._tasks)

    def watch_deadline(self, call: Call, at: float) -> None:
        """Call `call.expired` at a time of the loop's clock, unless it ends before."""
        self.deadlines.add(call, at)
        if not self._alarm:
            self._alarm = True
            self.loop.call_at(self.loop.time() + RESOLUTION, self._sweep)

    def _sweep(self) -> None:
        now = self.loop.time()
        for call in self.deadlines.expired(now):
            call.expired()
        self._alarm = bool(self.deadlines)
        if self._alarm:
            self.loop.call_at(now + RESOLUTION, self._sweep)


def outcome(task: Task[None]) -> GrpcError | None:
    """What a handler's end means for its caller: None when it ended well.

    An error that is no `GrpcError` is a defect: it is logged whole, and the caller only
    learns that there was one.
    """
    if task.cancelled():
        return GrpcError(Status.CANCELLED, "context canceled")
    error = task.exception()
    if error is None or isinstance(error, GrpcError):
        return error
    log.error("a handler failed", exc_info=error)
    return GrpcError(Status.UNKNOWN, "internal error")
