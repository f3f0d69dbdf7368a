"""The servers that are compared. Each runs in a process of its own and echoes requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, cast

PATH = "/etcdserverpb.KV/Put"
_FOREVER = 3600.0


def serve_strake(ready: Connection) -> None:
    """This transport, with a batched method."""
    import uvloop

    from services.etcd.transport.calls import UnaryCall
    from services.etcd.transport.methods import Kind, Method, MethodTable
    from services.etcd.transport.server import Server

    def echo(calls: list[UnaryCall]) -> None:
        for call in calls:
            call.reply(call.request)

    async def main() -> None:
        server = Server(MethodTable((Method(PATH, Kind.BATCH, bytes, bytes, echo),)))
        ready.send((await server.listen("127.0.0.1", 0))[1])
        await asyncio.sleep(_FOREVER)

    uvloop.run(main())


def serve_strake_async(ready: Connection) -> None:
    """This transport, with a coroutine per call."""
    import uvloop

    from services.etcd.transport.methods import Kind, Method, MethodTable
    from services.etcd.transport.server import Server
    from services.etcd.transport.stream_calls import StreamCall

    async def echo(request: bytes, call: StreamCall) -> bytes:
        return request

    async def main() -> None:
        server = Server(MethodTable((Method(PATH, Kind.UNARY, bytes, bytes, echo),)))
        ready.send((await server.listen("127.0.0.1", 0))[1])
        await asyncio.sleep(_FOREVER)

    uvloop.run(main())


def serve_grpc_aio(ready: Connection) -> None:
    """grpcio's asyncio server."""
    import grpc
    import uvloop

    async def echo(request: bytes, context: object) -> bytes:
        return request

    async def main() -> None:
        server = grpc.aio.server()
        service, method = PATH.strip("/").split("/")
        handlers: dict[str, Any] = {method: grpc.unary_unary_rpc_method_handler(echo)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
        ready.send(server.add_insecure_port("127.0.0.1:0"))
        await server.start()
        await asyncio.sleep(_FOREVER)

    uvloop.run(main())


def serve_h2(ready: Connection) -> None:
    """The `h2` library under an asyncio protocol, with the least that answers a call."""
    import uvloop
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import ConnectionTerminated, DataReceived, StreamEnded

    class Peer(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.WriteTransport, transport)
            self.bodies: dict[int, bytes] = {}
            self.h2 = H2Connection(H2Configuration(client_side=False))
            self.h2.initiate_connection()
            self.h2.increment_flow_control_window(1 << 30)
            self.transport.write(self.h2.data_to_send())

        def data_received(self, data: bytes) -> None:
            events = self.h2.receive_data(data)
            if any(isinstance(event, ConnectionTerminated) for event in events):
                self.transport.close()
                return
            for event in events:
                if isinstance(event, DataReceived):
                    sid = event.stream_id
                    self.bodies[sid] = self.bodies.get(sid, b"") + event.data
                elif isinstance(event, StreamEnded):
                    self.answer(event.stream_id)
            self.transport.write(self.h2.data_to_send())

        def answer(self, sid: int) -> None:
            head = [(":status", "200"), ("content-type", "application/grpc")]
            self.h2.send_headers(sid, head)
            self.h2.send_data(sid, self.bodies.pop(sid))
            self.h2.send_headers(sid, [("grpc-status", "0")], end_stream=True)

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Peer, "127.0.0.1", 0)
        ready.send(server.sockets[0].getsockname()[1])
        await asyncio.sleep(_FOREVER)

    uvloop.run(main())


SERVERS: dict[str, Callable[[Connection], None]] = {
    "strake": serve_strake,
    "strake, coroutines": serve_strake_async,
    "grpc.aio": serve_grpc_aio,
    "h2": serve_h2,
}
