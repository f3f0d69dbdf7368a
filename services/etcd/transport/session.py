"""A connection that serves: gRPC calls to the table's methods, all else to the HTTP handler."""

from __future__ import annotations

from collections.abc import Callable

from services.etcd.transport import grpc
from services.etcd.transport.calls import RefusedCall, Route, UnaryCall, make_timed_unary
from services.etcd.transport.connection import Connection
from services.etcd.transport.dispatch import Dispatcher
from services.etcd.transport.errors import GrpcError, Status
from services.etcd.transport.head import RequestHead
from services.etcd.transport.hpack_table import Field
from services.etcd.transport.http2_exchange import HttpExchange
from services.etcd.transport.methods import Kind
from services.etcd.transport.peer import Peer
from services.etcd.transport.stream_calls import StreamCall, make_timed_stream

_GRPC = b"application/grpc"
_ENCODINGS = (b"identity", b"gzip")
_COMPRESS_FROM = 256
"""Messages shorter than this are not worth compressing."""


class Session(Connection):
    """One HTTP/2 peer of a server."""

    VARYING = b"grpc-timeout"

    def __init__(
        self, dispatcher: Dispatcher, peer: Peer, wake: Callable[[], None], now: float
    ) -> None:
        super().__init__(dispatcher.limits, wake, now)
        self.dispatcher = dispatcher
        self.peer = peer

    def resolve(self, head: RequestHead) -> None:
        content_type = next((v for k, v in head.fields if k == b"content-type"), b"")
        if not content_type.startswith(_GRPC) or content_type[16:17] not in (b"", b"+", b";"):
            head.make = HttpExchange
            return
        route = Route(content_type)
        head.route = route
        try:
            self._fill(route, head)
        except GrpcError as error:
            route.refusal = error
            head.make = RefusedCall
            return
        head.make = UnaryCall if route.method.kind is Kind.BATCH else StreamCall

    def vary(self, head: RequestHead, fields: tuple[Field, ...], value: bytes) -> RequestHead:
        if head.make is UnaryCall:
            make = make_timed_unary
        elif head.make is StreamCall:
            make = make_timed_stream
        else:
            return head
        try:
            return head.variant(make, grpc.parse_timeout(value))
        except GrpcError as error:
            refused = head.variant(RefusedCall, 0.0)
            refused.route = Route(b"application/grpc")
            refused.route.refusal = error
            return refused

    def assembler(self, route: Route) -> grpc.Assembler:
        """Cuts the messages of a call."""
        return grpc.Assembler(self.limits.message, route.gzip)

    def compresses(self, route: Route, length: int) -> bool:
        """Whether an answer is to be compressed: the caller's request was allowed to be."""
        return route.gzip and length >= _COMPRESS_FROM

    def _fill(self, route: Route, head: RequestHead) -> None:
        """Read the head of a gRPC call.

        Raises GrpcError: it cannot start.
        """
        if head.method != b"POST":
            method = head.method.decode("latin-1")
            text = f'Received a HEADERS frame with :method "{method}" which should be POST'
            raise GrpcError(Status.INTERNAL, text)
        dispatcher = self.dispatcher
        method_row = dispatcher.methods.get(head.path)
        if method_row is None:
            raise dispatcher.methods.unknown(head.path)
        route.method = method_row
        route.stats = dispatcher.stats[head.path]
        if method_row.kind is Kind.BATCH:
            route.batch = dispatcher.batch(method_row)
        for name, value in head.fields:
            if name == b"grpc-encoding":
                self._set_encoding(route, value)
        route.metadata = grpc.decode_metadata(head.fields)

    @staticmethod
    def _set_encoding(route: Route, value: bytes) -> None:
        if value not in _ENCODINGS:
            name = value.decode("latin-1")
            text = f'grpc: Decompressor is not installed for grpc-encoding "{name}"'
            raise GrpcError(Status.UNIMPLEMENTED, text)
        route.gzip = value == b"gzip"
        if route.gzip:
            route.plain = False
