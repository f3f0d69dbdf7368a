"""For tests: an HTTP/2 client made of raw frames, facing a session without any socket."""

from __future__ import annotations

from asyncio import Task
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import hpack

from services.etcd.transport import frames
from services.etcd.transport.calls import UnaryCall
from services.etcd.transport.dispatch import Dispatcher
from services.etcd.transport.limits import Limits
from services.etcd.transport.methods import Kind, Method, MethodTable
from services.etcd.transport.peer import Peer
from services.etcd.transport.session import Session

ECHO = "/test.Echo/Unary"
HOLD = "/test.Echo/Hold"


class FakeLoop:
    """A loop whose clock and turns the test controls."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.soon: list[Callable[[], object]] = []
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_soon(self, callback: Callable[[], object]) -> object:
        self.soon.append(callback)
        return None

    def call_at(self, when: float, callback: Callable[[], object]) -> object:
        self.timers.append((when, callback))
        return None

    def create_task(self, coro: Coroutine[Any, Any, None]) -> Task[None]:
        raise NotImplementedError

    def create_future(self) -> Any:
        raise NotImplementedError

    def turn(self) -> None:
        """Run what was put off."""
        soon, self.soon = self.soon, []
        for callback in soon:
            callback()

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        due = [callback for when, callback in self.timers if when <= self.now]
        self.timers = [timer for timer in self.timers if timer[0] > self.now]
        for callback in due:
            callback()
        self.turn()


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame that the server sent."""

    kind: int
    flags: int
    sid: int
    payload: bytes

    @property
    def code(self) -> int:
        """The error code of a RST_STREAM or GOAWAY."""
        return int.from_bytes(
            self.payload[-4:] if self.kind == frames.RST_STREAM else self.payload[4:8], "big"
        )


def split(data: bytes) -> list[Frame]:
    """The frames in `data`."""
    result = []
    at = 0
    while at < len(data):
        word, flags, sid = frames.FRAME_HEADER.unpack_from(data, at)
        end = at + 9 + (word >> 8)
        result.append(Frame(word & 255, flags, sid, data[at + 9 : end]))
        at = end
    return result


def grpc_message(payload: bytes) -> bytes:
    """A message as it travels."""
    return b"\0" + len(payload).to_bytes(4, "big") + payload


class Wire:
    """The client's end. `held` collects the calls of the method that never answers."""

    def __init__(self, limits: Limits | None = None, rows: tuple[Method, ...] = ()) -> None:
        self.loop = FakeLoop()
        self.held: list[UnaryCall] = []
        self.batches: list[int] = []
        echo = Method(ECHO, Kind.BATCH, bytes, bytes, self._echo)
        hold = Method(HOLD, Kind.BATCH, bytes, bytes, self.held.extend)
        self.dispatcher = Dispatcher(self.loop, MethodTable((echo, hold, *rows)), None, limits)
        self.session = Session(self.dispatcher, Peer("test:1"), self._wake, self.loop.now)
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.output = b""
        self._dirty = False
        self.greeting = self.send(frames.PREFACE + frames.settings(()))

    def _echo(self, calls: list[UnaryCall]) -> None:
        self.batches.append(len(calls))
        for call in calls:
            call.reply(call.request)

    def _wake(self) -> None:
        self._dirty = True
        self.dispatcher.touch(self)

    def flush(self) -> None:
        self._dirty = False
        self.output += self.session.take()

    def send(self, *data: bytes) -> list[Frame]:
        """Send bytes in one piece; returns the frames that came back."""
        self.dispatcher.read(self, self.session.receive, b"".join(data))
        return self.turn()

    def turn(self) -> list[Frame]:
        """Let the loop turn until nothing more comes; returns the frames that came."""
        while self.loop.soon or self._dirty:
            self.loop.turn()
            if self._dirty:
                self.flush()
        output, self.output = self.output, b""
        return split(output)

    def head(
        self,
        sid: int,
        path: str = ECHO,
        end: bool = False,
        extra: tuple[tuple[str, str], ...] = (),
        huffman: bool = True,
    ) -> bytes:
        """HEADERS of a call."""
        fields = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "test"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *extra,
        ]
        return self.raw_head(sid, fields, end, huffman)

    def raw_head(
        self, sid: int, fields: list[tuple[str, str]], end: bool = False, huffman: bool = True
    ) -> bytes:
        """HEADERS with exactly these fields."""
        flags = frames.END_HEADERS | (frames.END_STREAM if end else 0)
        return frames.frame(frames.HEADERS, flags, sid, self.encoder.encode(fields, huffman))

    def call(self, sid: int, payload: bytes = b"", path: str = ECHO) -> bytes:
        """A whole unary call."""
        return self.head(sid, path) + data(sid, grpc_message(payload), end=True)

    def fields(self, frame: Frame) -> dict[str, str]:
        """The fields of a HEADERS frame; every one must pass through here, in order."""
        return {str(k): str(v) for k, v in self.decoder.decode(frame.payload)}

    def answers(self, got: list[Frame]) -> dict[int, tuple[bytes, dict[str, str]]]:
        """Message bytes and header fields (of head and trailers) by stream."""
        result: dict[int, tuple[bytes, dict[str, str]]] = {}
        for item in got:
            body, fields = result.get(item.sid, (b"", {}))
            if item.kind == frames.HEADERS:
                result[item.sid] = (body, {**fields, **self.fields(item)})
            elif item.kind == frames.DATA:
                result[item.sid] = (body + item.payload, fields)
        return result


def data(sid: int, payload: bytes, end: bool = False) -> bytes:
    """DATA, in frames as long as allowed."""
    pieces = [payload[at : at + 16_384] for at in range(0, len(payload), 16_384)] or [b""]
    return b"".join(
        frames.frame(frames.DATA, frames.END_STREAM if end and n == len(pieces) else 0, sid, piece)
        for n, piece in enumerate(pieces, 1)
    )


def goaways(got: list[Frame]) -> list[tuple[int, bytes]]:
    """Code and text of each GOAWAY."""
    return [(f.code, f.payload[8:]) for f in got if f.kind == frames.GOAWAY]


def resets(got: list[Frame]) -> list[tuple[int, int]]:
    """Stream and code of each RST_STREAM."""
    return [(f.sid, f.code) for f in got if f.kind == frames.RST_STREAM]
