"""The server on real sockets, against clients that others wrote."""

from __future__ import annotations

import asyncio
import http.client
import shutil
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.events
import pytest
import uvloop

from services.etcd.transport.calls import UnaryCall
from services.etcd.transport.errors import GrpcError, Status
from services.etcd.transport.http import HttpRequest, HttpResponse
from services.etcd.transport.limits import Limits
from services.etcd.transport.methods import Kind, Method, MethodTable
from services.etcd.transport.server import Server
from services.etcd.transport.stream_calls import StreamCall
from services.etcd.transport.testcerts import write_pem
from services.etcd.transport.tls import TlsConfig
from tools.proc import run

TIMEOUT = 20.0
SEEN: dict[str, Any] = {}


def echo(calls: list[UnaryCall]) -> None:
    for call in calls:
        call.reply(call.request)


def refuse(calls: list[UnaryCall]) -> None:
    for call in calls:
        call.fail(Status.FAILED_PRECONDITION, "etcdserver: ünmöglich", (("why-bin", b"\0\1"),))


def mirror(calls: list[UnaryCall]) -> None:
    for call in calls:
        pairs = tuple(pair for pair in call.metadata if pair[0].startswith("x-"))
        call.reply(repr(pairs).encode(), pairs)


async def slow_echo(request: bytes, call: StreamCall) -> bytes:
    await asyncio.sleep(0)
    call.set_initial_metadata((("x-initial", "1"),))
    call.set_trailers((("x-trailing-bin", b"\xff"),))
    return request


async def count(request: bytes, call: StreamCall) -> None:
    for n in range(int(request)):
        await call.send(b"%d" % n)


async def total(call: StreamCall) -> bytes:
    return b"%d" % sum([int(message) async for message in call])


async def chat(call: StreamCall) -> None:
    async for message in call:
        if message == b"refuse":
            raise GrpcError(Status.ABORTED, "as you wish")
        if message == b"crash":
            raise RuntimeError("defect")
        await call.send(message)


async def hang(call: StreamCall) -> None:
    SEEN["hanging"].set()
    call.add_done_callback(SEEN["over"].set)
    await asyncio.get_running_loop().create_future()


async def who(request: bytes, call: StreamCall) -> bytes:
    return call.peer.common_name.encode()


async def web(request: HttpRequest) -> HttpResponse:
    if request.path == "/stream":
        return HttpResponse(200, (), lines())
    body = await request.body.read()
    text = f"{request.method} {request.target} {len(body)} {request.version}"
    return HttpResponse(200, (("content-type", "text/plain"),), text.encode())


async def lines() -> AsyncIterator[bytes]:
    for n in range(1000):
        yield b"%d\n" % n * 100


def method(name: str, kind: Kind, handler: Callable[..., Any]) -> Method:
    return Method(f"/test.Toy/{name}", kind, bytes, bytes, handler)


TABLE = MethodTable(
    (
        method("Echo", Kind.BATCH, echo),
        method("Refuse", Kind.BATCH, refuse),
        method("Mirror", Kind.BATCH, mirror),
        method("SlowEcho", Kind.UNARY, slow_echo),
        method("Count", Kind.SERVER_STREAM, count),
        method("Total", Kind.CLIENT_STREAM, total),
        method("Chat", Kind.BIDI, chat),
        method("Hang", Kind.BIDI, hang),
        method("Who", Kind.UNARY, who),
    )
)


class Running:
    """A server in a thread of its own."""

    def __init__(
        self,
        new_loop: Callable[[], asyncio.AbstractEventLoop],
        limits: Limits,
        tls: TlsConfig | None,
    ) -> None:
        self.loop = new_loop()
        self._ready = threading.Event()
        self._limits = limits
        self._tls = tls
        self.port = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        assert self._ready.wait(TIMEOUT)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(self._listen())
        self._ready.set()
        self.loop.run_forever()
        self.loop.close()

    async def _listen(self) -> None:
        self.server = Server(TABLE, web, self._limits)
        _, self.port = await self.server.listen("127.0.0.1", 0, tls=self._tls, plain=True)

    def stop(self, grace: float = 0.0) -> None:
        asyncio.run_coroutine_threadsafe(self.server.stop(grace), self.loop).result(TIMEOUT)

    def close(self) -> None:
        self.stop()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(TIMEOUT)


@contextmanager
def running(
    limits: Limits | None = None,
    tls: TlsConfig | None = None,
    new_loop: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop,
) -> Iterator[Running]:
    server = Running(new_loop, limits or Limits(), tls)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="module", params=[asyncio.new_event_loop, uvloop.new_event_loop])
def toy(request: pytest.FixtureRequest) -> Iterator[Running]:
    with running(new_loop=request.param) as server:
        yield server


@contextmanager
def channel(server: Running, **options: Any) -> Iterator[Any]:
    arguments = [(f"grpc.{key}", value) for key, value in options.items()]
    arguments += [
        ("grpc.max_receive_message_length", -1),
        ("grpc.use_local_subchannel_pool", 1),
    ]
    with grpc.insecure_channel(f"127.0.0.1:{server.port}", arguments) as opened:
        yield opened


def unary(opened: Any, name: str) -> Any:
    return opened.unary_unary(f"/test.Toy/{name}")


# --- grpcio


@pytest.mark.parametrize("name", ["Echo", "SlowEcho"])
@pytest.mark.parametrize("size", [0, 1, 16_379, 16_380, 65_536, 2 << 20])
def test_unary_of_any_size(toy: Running, name: str, size: int) -> None:
    with channel(toy) as opened:
        body = b"x" * size
        assert unary(opened, name)(body, timeout=TIMEOUT) == body


def test_many_calls_at_once_on_one_connection(toy: Running) -> None:
    with channel(toy) as opened:
        echo_call = unary(opened, "Echo")
        futures = [echo_call.future(b"%d" % n * 1000, timeout=TIMEOUT) for n in range(500)]
        assert [f.result() for f in futures] == [b"%d" % n * 1000 for n in range(500)]


def test_large_messages_at_once(toy: Running) -> None:
    with channel(toy) as opened:
        bodies = [bytes([n]) * 1_500_000 for n in range(40)]
        futures = [unary(opened, "Echo").future(body, timeout=60) for body in bodies]
        assert [f.result() for f in futures] == bodies


def test_streams(toy: Running) -> None:
    with channel(toy) as opened:
        counted = opened.unary_stream("/test.Toy/Count")(b"5000", timeout=TIMEOUT)
        assert [int(m) for m in counted] == list(range(5000))
        numbers = (b"%d" % n for n in range(3000))
        summed = opened.stream_unary("/test.Toy/Total")(numbers, timeout=TIMEOUT)
        assert int(summed) == sum(range(3000))
        said = [b"a" * n for n in (0, 1, 100_000, 2_000_000)]
        heard = opened.stream_stream("/test.Toy/Chat")(iter(said), timeout=TIMEOUT)
        assert list(heard) == said


@pytest.mark.parametrize(
    ("word", "code", "details"),
    [
        (b"refuse", grpc.StatusCode.ABORTED, "as you wish"),
        (b"crash", grpc.StatusCode.UNKNOWN, "internal error"),
    ],
)
def test_stream_that_fails_half_way(toy: Running, word: bytes, code: Any, details: str) -> None:
    with channel(toy) as opened:
        heard = opened.stream_stream("/test.Toy/Chat")(iter([b"a", word, b"b"]), timeout=TIMEOUT)
        assert next(heard) == b"a"
        with pytest.raises(grpc.RpcError):
            next(heard)
        assert (heard.code(), heard.details()) == (code, details)


def test_errors_and_metadata(toy: Running) -> None:
    with channel(toy) as opened:
        with pytest.raises(grpc.RpcError) as caught:
            unary(opened, "Refuse")(b"", timeout=TIMEOUT)
        error: Any = caught.value
        assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert error.details() == "etcdserver: ünmöglich"
        assert dict(error.trailing_metadata())["why-bin"] == b"\0\1"
        pairs = (("x-a", "1"), ("x-a", "2"), ("x-b-bin", b"\xff\0"))
        answer, call = unary(opened, "Mirror").with_call(b"", metadata=pairs, timeout=TIMEOUT)
        assert answer == repr(pairs).encode()
        assert tuple((k, v) for k, v in call.trailing_metadata()) == pairs
        _, call = unary(opened, "SlowEcho").with_call(b"", timeout=TIMEOUT)
        assert ("x-initial", "1") in [tuple(p) for p in call.initial_metadata()]
        assert ("x-trailing-bin", b"\xff") in [tuple(p) for p in call.trailing_metadata()]
        with pytest.raises(grpc.RpcError) as caught:
            unary(opened, "Nothing")(b"", timeout=TIMEOUT)
        error = caught.value
        assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_message_above_the_limit(toy: Running) -> None:
    with channel(toy) as opened:
        for name in ("Echo", "SlowEcho"):
            with pytest.raises(grpc.RpcError) as caught:
                unary(opened, name)(b"x" * (2 << 20 | 1), timeout=TIMEOUT)
            error: Any = caught.value
            assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("name", ["Echo", "SlowEcho"])
def test_gzip(toy: Running, name: str) -> None:
    with channel(toy) as opened:
        body = b"compressible " * 10_000
        call = opened.unary_unary(f"/test.Toy/{name}")
        assert call(body, compression=grpc.Compression.Gzip, timeout=TIMEOUT) == body


def watch_hang() -> None:
    SEEN["hanging"] = threading.Event()
    SEEN["over"] = threading.Event()


def test_deadline_and_cancellation_reach_the_handler(toy: Running) -> None:
    with channel(toy) as opened:
        watch_hang()
        call = opened.stream_stream("/test.Toy/Hang")(iter(()), timeout=0.2)
        with pytest.raises(grpc.RpcError):
            next(call)
        assert call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        assert SEEN["over"].wait(TIMEOUT)
        watch_hang()
        call = opened.stream_stream("/test.Toy/Hang")(iter(()))
        assert SEEN["hanging"].wait(TIMEOUT)
        call.cancel()
        assert SEEN["over"].wait(TIMEOUT)


def test_loss_of_the_connection_reaches_the_handler() -> None:
    with running() as server:
        watch_hang()
        with channel(server) as opened:
            call = opened.stream_stream("/test.Toy/Hang")(iter(()))
            assert SEEN["hanging"].wait(TIMEOUT)
        assert call.code() is grpc.StatusCode.CANCELLED
        assert SEEN["over"].wait(TIMEOUT)


def test_many_connections_and_streams(toy: Running) -> None:
    def one(n: int) -> int:
        with channel(toy) as opened:
            answers = opened.unary_stream("/test.Toy/Count")(b"200", timeout=TIMEOUT)
            return sum(1 for _ in answers)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(32))) == [200] * 32


def test_keepalive_of_a_client_that_may(toy: Running) -> None:
    with channel(toy, keepalive_time_ms=1000, http2_max_pings_without_data=0) as opened:
        assert unary(opened, "Echo")(b"x", timeout=TIMEOUT) == b"x"


def test_graceful_stop_lets_calls_end() -> None:
    with running() as server, channel(server) as opened:
        chat_call = opened.stream_stream("/test.Toy/Chat")
        sent: list[bytes] = []
        go = threading.Event()

        def words() -> Iterator[bytes]:
            yield b"before"
            go.wait(TIMEOUT)
            yield b"after"

        heard = chat_call(words(), timeout=TIMEOUT)
        sent.append(next(heard))
        stopper = threading.Thread(target=server.stop, args=(TIMEOUT,))
        stopper.start()
        go.set()
        sent += list(heard)
        stopper.join(TIMEOUT)
        assert sent == [b"before", b"after"]
        assert server.server.connections == 0


# --- TLS


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return write_pem(tmp_path_factory.mktemp("pem"))


def credentials(pem: dict[str, str], client: bool) -> Any:
    def read(name: str) -> bytes:
        return Path(pem[name]).read_bytes()

    if not client:
        return grpc.ssl_channel_credentials(read("ca"))
    return grpc.ssl_channel_credentials(read("ca"), read("client_key"), read("client_certificate"))


def test_tls_and_plain_on_one_port(pem: dict[str, str]) -> None:
    config = TlsConfig(pem["certificate"], pem["key"])
    with running(tls=config) as server:
        with grpc.secure_channel(f"localhost:{server.port}", credentials(pem, False)) as opened:
            body = b"x" * 1_000_000
            assert unary(opened, "Echo")(body, timeout=TIMEOUT) == body
        with channel(server) as opened:
            assert unary(opened, "Echo")(b"plain", timeout=TIMEOUT) == b"plain"
        context = ssl.create_default_context(cafile=pem["ca"])
        https = http.client.HTTPSConnection("localhost", server.port, context=context)
        https.request("GET", "/a")
        assert https.getresponse().read() == b"GET /a 0 1.1"
        https.close()


@pytest.mark.parametrize(
    ("names", "client", "answer"),
    [
        pytest.param((), True, b"alice", id="any name"),
        pytest.param(("alice",), True, b"alice", id="allowed name"),
        pytest.param(("bob",), True, None, id="other name"),
        pytest.param((), False, None, id="no certificate"),
    ],
)
def test_client_certificates(
    pem: dict[str, str], names: tuple[str, ...], client: bool, answer: bytes | None
) -> None:
    config = TlsConfig(
        pem["certificate"],
        pem["key"],
        client_ca=pem["ca"],
        client_certificate_required=True,
        allowed_names=names,
    )
    with running(tls=config) as server:
        target = f"localhost:{server.port}"
        with grpc.secure_channel(target, credentials(pem, client)) as opened:
            if answer is not None:
                assert unary(opened, "Who")(b"", timeout=TIMEOUT) == answer
                return
            with pytest.raises(grpc.RpcError):
                unary(opened, "Who")(b"", timeout=TIMEOUT)


# --- other clients


def test_http11(toy: Running) -> None:
    client = http.client.HTTPConnection("127.0.0.1", toy.port, timeout=TIMEOUT)
    client.request("GET", "/health?x=1")
    assert client.getresponse().read() == b"GET /health?x=1 0 1.1"
    client.request("POST", "/up", body=iter([b"a" * 70_000, b"b"]), encode_chunked=True)
    assert client.getresponse().read() == b"POST /up 70001 1.1"
    client.request("GET", "/stream")
    assert len(client.getresponse().read().split()) == 100_000
    client.close()


def test_h2_library(toy: Running) -> None:
    """Plain HTTP over HTTP/2, by the reference library of Python."""
    client = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
    client.initiate_connection()
    head = [(":method", "POST"), (":scheme", "http"), (":path", "/x"), (":authority", "a")]
    for n in range(10):
        client.send_headers(2 * n + 1, head)
        client.send_data(2 * n + 1, b"y" * 1000, end_stream=True)
    bodies: dict[int, bytes] = {}
    ended: set[int] = set()
    with socket.create_connection(("127.0.0.1", toy.port), TIMEOUT) as sock:
        sock.sendall(client.data_to_send())
        while len(ended) < 10:
            for event in client.receive_data(sock.recv(65_536)):
                if isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] = bodies.get(event.stream_id, b"") + event.data
                elif isinstance(event, h2.events.StreamEnded):
                    ended.add(event.stream_id)
            sock.sendall(client.data_to_send())
    assert set(bodies.values()) == {b"POST /x 1000 2"}


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def test_h2load(toy: Running, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"\0\0\0\0\x03abc")
    url = f"http://127.0.0.1:{toy.port}/test.Toy/Echo"
    command = [tool("h2load"), "-n2000", "-c4", "-m16", f"-d{body}", "-Hte: trailers"]
    command += ["-Hcontent-type: application/grpc", url]
    assert "2000 succeeded, 0 failed, 0 errored" in run(command, timeout=60).text


def test_nghttp(toy: Running) -> None:
    command = [tool("nghttp"), "--no-dep", f"http://127.0.0.1:{toy.port}/health"]
    assert run(command, timeout=60).text == "GET /health 0 2"


def test_curl(toy: Running) -> None:
    url = f"http://127.0.0.1:{toy.port}"
    command = [tool("curl"), "-s", "--http2-prior-knowledge", "-d", "abc", url + "/a"]
    assert run(command, timeout=60).text == "POST /a 3 2"
    command = [tool("curl"), "-s", url + "/a", url + "/b"]
    assert run(command, timeout=60).text == "GET /a 0 1.1GET /b 0 1.1"
