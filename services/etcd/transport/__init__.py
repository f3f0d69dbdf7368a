"""gRPC, HTTP/2 and HTTP/1.1 on one port: the server side of every network surface of etcd.

Declare the methods, give the batches to the application, listen:

    def put(calls: list[UnaryCall]) -> None:            # once per tick, with all that arrived
        for call in calls:
            call.reply(PutResponse(...))                # now, or later when it is durable

    async def watch(call: StreamCall) -> None:
        async for request in call:
            await call.send(WatchResponse(...))

    table = MethodTable((
        Method("/etcdserverpb.KV/Put", Kind.BATCH, PutRequest.FromString,
               PutResponse.SerializeToString, put, malformed=(DecodeError,)),
        Method("/etcdserverpb.Watch/Watch", Kind.BIDI, ..., watch),
    ))
    server = Server(table, http=handler)
    await server.listen("127.0.0.1", 2379, tls=TlsConfig("server.crt", "server.key"))

How the parts fit, from the wire up. `frames`, `huffman`, `hpack` and `http1` are codecs.
`outbound`, `control` and `connection` are the HTTP/2 state machine: bytes and the time in,
hooks of `streams.Stream` and bytes out, no socket. `session` adds gRPC: `calls.UnaryCall`
and `stream_calls.StreamCall` are the streams that handlers see, `http2_exchange` the ones of
plain HTTP. `dispatch` collects a tick's calls into batches and its output into one write per
connection. `link` and `server` own the sockets; `sniff` and `tls` find out what a peer
speaks. `limits.Limits` bounds everything that a peer can send or cause.

Names are loaded at their first use, so that importing one part costs only that part.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.etcd.transport.calls import UnaryCall as UnaryCall
    from services.etcd.transport.errors import CallEnded as CallEnded
    from services.etcd.transport.errors import GrpcError as GrpcError
    from services.etcd.transport.errors import HttpError as HttpError
    from services.etcd.transport.errors import Status as Status
    from services.etcd.transport.errors import TransportError as TransportError
    from services.etcd.transport.http import HttpRequest as HttpRequest
    from services.etcd.transport.http import HttpResponse as HttpResponse
    from services.etcd.transport.limits import Keepalive as Keepalive
    from services.etcd.transport.limits import Limits as Limits
    from services.etcd.transport.methods import Kind as Kind
    from services.etcd.transport.methods import Method as Method
    from services.etcd.transport.methods import MethodTable as MethodTable
    from services.etcd.transport.peer import Peer as Peer
    from services.etcd.transport.server import Server as Server
    from services.etcd.transport.stream_calls import StreamCall as StreamCall
    from services.etcd.transport.tls import TlsConfig as TlsConfig
    from services.etcd.transport.tls import TlsError as TlsError

_HOMES = {
    "CallEnded": "errors",
    "GrpcError": "errors",
    "HttpError": "errors",
    "HttpRequest": "http",
    "HttpResponse": "http",
    "Keepalive": "limits",
    "Kind": "methods",
    "Limits": "limits",
    "Method": "methods",
    "MethodTable": "methods",
    "Peer": "peer",
    "Server": "server",
    "Status": "errors",
    "StreamCall": "stream_calls",
    "TlsConfig": "tls",
    "TlsError": "tls",
    "TransportError": "errors",
    "UnaryCall": "calls",
}

__all__ = tuple(_HOMES)


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
