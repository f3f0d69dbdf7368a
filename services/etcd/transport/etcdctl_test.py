"""Debian's etcdctl (grpc-go) against a toy key-value store, with messages made by hand."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from services.etcd.transport.calls import UnaryCall
from services.etcd.transport.methods import Kind, Method, MethodTable
from services.etcd.transport.server import Server
from services.etcd.transport.stream_calls import StreamCall
from services.etcd.transport.testcerts import write_pem
from services.etcd.transport.tls import TlsConfig
from tools.proc import ProgramFailed, run

TIMEOUT = 30.0
BLOB = 65_536
SNAPSHOT = 20 * BLOB + 32
"""A size that looks like a database with a checksum behind it."""

Message = dict[int, bytes | int]


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes((*out, value))


def encode(message: Message) -> bytes:
    """A protobuf message of varints and byte strings."""
    out = b""
    for number, value in message.items():
        if isinstance(value, int):
            out += varint(number << 3) + varint(value)
        else:
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def decode(data: bytes) -> Message:
    """The last value of each field."""

    def take(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return value, at

    result: Message = {}
    at = 0
    while at < len(data):
        tag, at = take(at)
        value, at = take(at)
        if tag & 7 == 2:
            result[tag >> 3], at = data[at : at + value], at + value
        else:
            result[tag >> 3] = value
    return result


class Toy:
    """Put and Range of single keys; Snapshot of zeros."""

    def __init__(self) -> None:
        self.data: dict[bytes, bytes] = {}
        self.revision = 1

    def table(self) -> MethodTable:
        return MethodTable(
            (
                Method("/etcdserverpb.KV/Put", Kind.BATCH, decode, encode, self.put),
                Method("/etcdserverpb.KV/Range", Kind.BATCH, decode, encode, self.range),
                Method(
                    "/etcdserverpb.Maintenance/Snapshot",
                    Kind.SERVER_STREAM,
                    decode,
                    encode,
                    self.snapshot,
                ),
                Method("/etcdserverpb.Watch/Watch", Kind.BIDI, decode, encode, self.watch),
            )
        )

    def header(self) -> bytes:
        return encode({1: 1, 2: 1, 3: self.revision, 4: 1})

    def put(self, calls: list[UnaryCall]) -> None:
        for call in calls:
            self.revision += 1
            self.data[call.request[1]] = call.request.get(2, b"")
            call.reply({1: self.header()})

    def range(self, calls: list[UnaryCall]) -> None:
        for call in calls:
            key = call.request[1]
            pair = encode({1: key, 2: 2, 3: 2, 4: 1, 5: self.data.get(key, b"")})
            found: Message = {2: pair, 4: 1} if key in self.data else {}
            call.reply({1: self.header(), **found})

    async def snapshot(self, request: Message, call: StreamCall) -> None:
        left = SNAPSHOT
        while left:
            size = min(left, BLOB)
            left -= size
            await call.send({1: self.header(), 2: left, 3: bytes(size)})

    async def watch(self, call: StreamCall) -> None:
        async for request in call:
            if 1 in request:
                await call.send({1: self.header(), 2: 7, 3: 1})
                pair = encode({1: b"k", 2: 5, 3: 5, 4: 1, 5: b"seen"})
                await call.send({1: self.header(), 2: 7, 11: encode({1: 0, 2: pair})})


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int, dict[str, str]]]:
    if shutil.which("etcdctl") is None:
        pytest.skip("etcdctl is not installed")
    pem = write_pem(tmp_path_factory.mktemp("pem"))
    loop = uvloop.new_event_loop()
    ready = threading.Event()
    bound: list[int] = []

    async def listen() -> Server:
        server = Server(Toy().table())
        tls = TlsConfig(pem["certificate"], pem["key"], pem["ca"], True)
        bound.append((await server.listen("127.0.0.1", 0))[1])
        bound.append((await server.listen("127.0.0.1", 0, tls))[1])
        return server

    def serve() -> None:
        asyncio.set_event_loop(loop)
        server = loop.run_until_complete(listen())
        ready.set()
        loop.run_forever()
        loop.run_until_complete(server.stop(0))
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(TIMEOUT)
    yield bound[0], bound[1], pem
    loop.call_soon_threadsafe(loop.stop)
    thread.join(TIMEOUT)


@pytest.fixture(params=["plain", "tls"])
def etcdctl(
    request: pytest.FixtureRequest, ports: tuple[int, int, dict[str, str]]
) -> tuple[str, ...]:
    plain, tls, pem = ports
    if request.param == "plain":
        return ("etcdctl", f"--endpoints=http://127.0.0.1:{plain}")
    return (
        "etcdctl",
        f"--endpoints=https://127.0.0.1:{tls}",
        f"--cacert={pem['ca']}",
        f"--cert={pem['client_certificate']}",
        f"--key={pem['client_key']}",
    )


def ctl(command: tuple[str, ...], *arguments: str, stdin: bytes = b"") -> str:
    done = run([*command, *arguments], env={"ETCDCTL_API": "3"}, timeout=TIMEOUT, stdin=stdin)
    return done.text


def test_put_and_get(etcdctl: tuple[str, ...]) -> None:
    assert ctl(etcdctl, "put", "k", "v") == "OK\n"
    assert ctl(etcdctl, "get", "k") == "k\nv\n"
    assert ctl(etcdctl, "get", "none") == ""
    value = "x" * 1_000_000
    assert ctl(etcdctl, "put", "long", stdin=value.encode()) == "OK\n"
    assert ctl(etcdctl, "get", "long", "--print-value-only") == value + "\n"


def test_server_stream(etcdctl: tuple[str, ...], tmp_path: Path) -> None:
    file = tmp_path / "snapshot"
    assert "Snapshot saved at" in ctl(etcdctl, "snapshot", "save", str(file))
    assert file.stat().st_size == SNAPSHOT


def test_bidirectional_stream(etcdctl: tuple[str, ...], tmp_path: Path) -> None:
    """A watch ends by itself when the command it runs kills its parent."""
    script = tmp_path / "seen"
    script.write_text("#!/bin/sh\necho $ETCD_WATCH_KEY\nkill $PPID\n")
    script.chmod(0o755)
    with pytest.raises(ProgramFailed) as caught:
        ctl(etcdctl, "watch", "k", "--", str(script))
    assert caught.value.returncode != 0


def test_unknown_service(etcdctl: tuple[str, ...]) -> None:
    with pytest.raises(ProgramFailed) as caught:
        ctl(etcdctl, "member", "list")
    assert "unknown service etcdserverpb.Cluster" in caught.value.tail
