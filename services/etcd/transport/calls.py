"""Calls of methods, as handlers see them.

`UnaryCall` is the batched kind: it carries the parsed `request`, and `reply` or `fail`
answers it, at once or much later. A call that is over (answered, cancelled, past its
deadline, connection gone) ignores further answers, so that the application need not look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from services.etcd.transport import grpc
from services.etcd.transport.errors import GrpcError, Status
from services.etcd.transport.hpack_table import Field
from services.etcd.transport.outbound import REPLY_HEAD, REPLY_TAIL
from services.etcd.transport.streams import LOCAL_OPEN, OPEN, Stream

if TYPE_CHECKING:
    from services.etcd.transport.dispatch import Batch
    from services.etcd.transport.head import RequestHead
    from services.etcd.transport.methods import Method, MethodStats
    from services.etcd.transport.peer import Peer
    from services.etcd.transport.session import Session

CANCELLED_TEXT = "context canceled"
DEADLINE_TEXT = "context deadline exceeded"
_GZIP: tuple[Field, ...] = ((b"grpc-encoding", b"gzip"),)
_ACCEPT: tuple[Field, ...] = ((b"grpc-accept-encoding", b"gzip"),)


class Route:
    """What a request's head says about the call; shared by all calls with the same head."""

    __slots__ = (
        "batch",
        "gzip",
        "head_fields",
        "metadata",
        "method",
        "plain",
        "refusal",
        "stats",
    )

    def __init__(self, content_type: bytes) -> None:
        self.method: Method
        self.stats: MethodStats
        self.batch: Batch
        self.metadata: grpc.Metadata = ()
        self.gzip = False
        """Messages may be compressed, both ways."""
        self.refusal: GrpcError | None = None
        """The answer when the call cannot even start."""
        self.head_fields = (REPLY_HEAD[0], (b"content-type", content_type))
        self.plain = self.head_fields == REPLY_HEAD
        """The answer has the usual head, so that the fast path will do."""


class Call(Stream):
    """What all kinds of calls have in common."""

    __slots__ = ("deadline", "route")

    connection: Session

    def __init__(self, connection: Session, sid: int, head: RequestHead) -> None:
        super().__init__(connection, sid, head)
        self.route: Route = head.route
        self.deadline: float | None = None
        """Time of the loop's clock by which the caller wants its answer."""

    # --- for handlers

    @property
    def method(self) -> Method:
        """The row of the table that was called."""
        return self.route.method

    @property
    def metadata(self) -> grpc.Metadata:
        """The caller's metadata, in order; keys in lower case, `-bin` values as bytes."""
        return self.route.metadata

    @property
    def peer(self) -> Peer:
        """Who is calling."""
        return self.connection.peer

    @property
    def active(self) -> bool:
        """Whether an answer would still be sent."""
        return self.state & LOCAL_OPEN != 0

    def fail(
        self, status: Status, message: str = "", metadata: tuple[tuple[str, str | bytes], ...] = ()
    ) -> None:
        """Answer with an error; ignored when the call is over."""
        if not self.state & LOCAL_OPEN:
            return
        tail = (
            (b"grpc-status", b"%d" % status),
            (b"grpc-message", grpc.encode_status_message(message)),
            *grpc.encode_metadata(metadata),
        )
        self._forget_deadline()
        self.route.stats.fail(status)
        self._send_tail(tail if message else (tail[0], *tail[2:]))

    def expired(self) -> None:
        """The deadline has passed."""
        self.deadline = None
        self.fail(Status.DEADLINE_EXCEEDED, DEADLINE_TEXT)

    # --- inside

    def _send_tail(self, tail: tuple[Field, ...]) -> None:
        """End a call none of whose response head was sent: trailers only."""
        self.connection.send_head(self, (*self.route.head_fields, *tail), end=True)

    def _refuse(self, error: GrpcError) -> None:
        self.fail(error.status, error.message, error.metadata)

    def _forget_deadline(self) -> None:
        if self.deadline is not None:
            self.connection.dispatcher.deadlines.discard(self, self.deadline)
            self.deadline = None

    def aborted(self, code: int) -> None:
        self._forget_deadline()
        self.route.stats.fail(Status.CANCELLED)


class RefusedCall(Call):
    """A call that cannot start: unknown method, bad timeout, unknown compression."""

    __slots__ = ()

    eager = True

    def opened(self, ended: bool) -> None:
        error = self.route.refusal
        assert error is not None
        self._refuse(error)

    def fail(
        self, status: Status, message: str = "", metadata: tuple[tuple[str, str | bytes], ...] = ()
    ) -> None:
        tail: tuple[Field, ...] = (
            (b"grpc-status", b"%d" % status),
            (b"grpc-message", grpc.encode_status_message(message)),
        )
        self._send_tail((*tail, *_ACCEPT))

    def aborted(self, code: int) -> None:
        pass


class UnaryCall(Call):
    """A call of a batched method."""

    __slots__ = ("_assembler", "_held", "request")

    def __init__(self, connection: Session, sid: int, head: RequestHead) -> None:
        # Calls of this kind come by the hundred thousand: one function sets all fields.
        self.connection = connection
        self.sid = sid
        self.head = head
        self.route = head.route
        self.send_window = connection.peer_window
        self.recv_window = connection.stream_window
        self.missing = head.content_length
        self.state = OPEN
        self.pending = None
        self.unread = 0
        self.deadline = None
        self.request: Any = None
        """The parsed message; raw bytes until the batch is handed out."""
        self._assembler: grpc.Assembler | None = None
        self._held = 0

    def reply(self, response: Any, metadata: tuple[tuple[str, str | bytes], ...] = ()) -> None:
        """Answer with a message, and status OK; ignored when the call is over."""
        if self.state != LOCAL_OPEN:
            return
        route = self.route
        payload = route.method.serialise(response)
        route.stats.ok += 1
        if self.deadline is not None:
            self._forget_deadline()
        if route.plain and not metadata:
            self.connection.send_unary(self, payload)
            return
        connection = self.connection
        compress = connection.compresses(route, len(payload))
        connection.send_head(self, (*route.head_fields, *(_GZIP if route.gzip else ())))
        connection.send_data(self, grpc.frame_message(payload, compress))
        connection.send_head(self, (*REPLY_TAIL, *grpc.encode_metadata(metadata)), end=True)

    def received(self, payload: bytes, ended: bool) -> None:
        if (
            ended
            and self._assembler is None
            and payload
            and not payload[0]
            and int.from_bytes(payload[1:5], "big") == len(payload) - 5
        ):
            self.request = payload[5:]
            batch = self.route.batch
            calls = batch.calls
            if not calls:
                batch.dispatcher.schedule(batch)
            calls.append(self)
            return
        self._assemble(payload, ended)

    def opened(self, ended: bool) -> None:
        self._assemble(b"", True)

    def _assemble(self, payload: bytes, ended: bool) -> None:
        """The less usual ways for a message to arrive: in pieces, long, compressed."""
        assembler = self._assembler
        if assembler is None:
            assembler = self.connection.assembler(self.route)
            self._assembler = assembler
        try:
            for message, size in assembler.feed(payload):
                self._take(message, size)
            if ended:
                self._check_end(assembler)
        except GrpcError as error:
            self._refuse(error)
        if ended or not self.active:
            self._let_go()
            return
        self._count(assembler.held)
        self.connection.expect(self, assembler.missing)

    def _take(self, message: bytes, size: int) -> None:
        if self.request is not None:
            raise GrpcError(Status.INTERNAL, "cardinality violation: more than one request message")
        self.request = message
        self.connection.consumed(self, size)

    def _check_end(self, assembler: grpc.Assembler) -> None:
        if assembler.held:
            raise GrpcError(Status.INTERNAL, "unexpected EOF")
        if self.request is None:
            raise GrpcError(Status.INTERNAL, "cardinality violation: no request message")
        self.route.batch.add(self)

    def _let_go(self) -> None:
        self._assembler = None
        if self._held:
            self._count(0)

    def _count(self, held: int) -> None:
        """Tell the connection how much of what it received is kept here."""
        self.connection.hold(held - self._held)
        self._held = held

    def aborted(self, code: int) -> None:
        self._let_go()
        super().aborted(code)


def timed(call: Call) -> Call:
    """Give a new call the deadline that its head asks for."""
    connection = call.connection
    call.deadline = connection.now + call.head.timeout
    connection.dispatcher.watch_deadline(call, call.deadline)
    return call


def make_timed_unary(connection: Session, sid: int, head: RequestHead) -> Call:
    """A call of a batched method, with a deadline."""
    return timed(UnaryCall(connection, sid, head))
