"""A fuzzer of the transport: `python -m services.etcd.transport.fuzz --seconds 60`.

It mutates inputs of the corpus and feeds them to a session. What must hold for any bytes:
no exception, output that is whole frames, counters that are not negative, and nothing left
after the connection's end. An input whose answer has a trait not seen before (a kind of
frame, an error's text) is kept in the corpus, which `fuzz_test.py` replays.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import re
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from services.etcd.transport import frames
from services.etcd.transport.calls import UnaryCall
from services.etcd.transport.dispatch import Dispatcher
from services.etcd.transport.errors import HttpError
from services.etcd.transport.http1 import END, Head, Parser
from services.etcd.transport.limits import Limits
from services.etcd.transport.methods import Kind, Method, MethodTable
from services.etcd.transport.peer import Peer
from services.etcd.transport.session import Session

CORPUS = Path(__file__).parent / "corpus"
LIMITS = Limits(
    streams=8,
    resets=20,
    control_frames=40,
    header_list=2000,
    continuations=4,
    message=20_000,
    connection_window=200_000,
    inbound_grants=30_000,
    inbound_buffer=80_000,
    outbound_queue=40_000,
    outbound_cap=60_000,
)
_LONGEST = 1024
_NUMBER = re.compile(rb"[0-9]+")
Traits = frozenset[str]


class _Task:
    """A task that never runs."""

    def add_done_callback(self, callback: Callable[[Any], object]) -> None:
        """It is never done."""

    def cancel(self) -> None:
        """Nothing to cancel."""


class _Loop:
    """Time stands still; what is put off never happens, tasks neither."""

    def time(self) -> float:
        return 0.0

    def call_soon(self, callback: Callable[[], object]) -> object:
        return None

    def call_at(self, when: float, callback: Callable[[], object]) -> object:
        return None

    def create_future(self) -> Any:
        raise NotImplementedError

    def create_task(self, coro: Coroutine[Any, Any, None]) -> _Task:
        coro.close()
        return _Task()


def _echo(calls: list[UnaryCall]) -> None:
    for call in calls:
        call.reply(call.request)


class _Target:
    """A session that only knows batched methods, and collects its output."""

    def __init__(self) -> None:
        rows = (
            Method("/t.T/Echo", Kind.BATCH, bytes, bytes, _echo),
            Method("/t.T/Hold", Kind.BATCH, bytes, bytes, lambda calls: None),
        )
        self.dispatcher = Dispatcher(_Loop(), MethodTable(rows), None, LIMITS)  # type: ignore[arg-type]
        self.session = Session(self.dispatcher, Peer("fuzz:1"), self._wake, 0.0)
        self.output = b""

    def _wake(self) -> None:
        self.dispatcher.touch(self)

    def flush(self) -> None:
        self.output += self.session.take()

    def feed(self, data: bytes) -> None:
        self.dispatcher.read(self, self.session.receive, data)
        self.dispatcher.tick()


def run_h2(data: bytes) -> Traits:
    """Feed a connection; returns what its answer looked like.

    Raises AssertionError: a promise was broken.
    """
    target = _Target()
    half = len(data) // 2
    for piece in (data[:half], data[half:]):
        target.feed(piece)
    session = target.session
    assert session.queued >= 0
    assert session.buffered >= 0
    assert len(session.streams) <= LIMITS.streams
    assert not (session.closed and session.streams)
    traits = frozenset(_traits(target.output))
    session.abort()
    assert session.buffered == session.queued == 0
    return traits


def _traits(output: bytes) -> Iterator[str]:
    """Kinds of frames, error codes and texts."""
    at = 0
    while at < len(output):
        assert len(output) - at >= 9, "output ends inside a frame"
        word, flags, sid = frames.FRAME_HEADER.unpack_from(output, at)
        start, at = at + 9, at + 9 + (word >> 8)
        assert at <= len(output), "output ends inside a frame"
        kind = word & 255
        if kind == frames.GOAWAY:
            yield f"goaway {_NUMBER.sub(b'', output[start + 4 : at])!r}"
        elif kind == frames.RST_STREAM:
            yield f"reset {output[at - 1]}"
        elif kind in (frames.HEADERS, frames.WINDOW_UPDATE):
            yield f"{kind} {flags} {bool(sid)}"


def run_http1(data: bytes) -> Traits:
    """Feed an HTTP/1.1 parser; returns what it made of the bytes."""
    parser = Parser(LIMITS)
    traits: set[str] = set()
    half = len(data) // 2
    try:
        for piece in (data[:half], data[half:]):
            for event in parser.feed(piece):
                if isinstance(event, Head):
                    traits.add(f"{event.keep_alive} {event.has_body} {event.expects_continue}")
                elif event is END:
                    parser.next_request()
                    traits.add("end")
    except HttpError as error:
        traits.add(f"{error.status} {error.message}")
    return frozenset(traits)


TARGETS: dict[str, Callable[[bytes], Traits]] = {"h2": run_h2, "http1": run_http1}


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> bytes:
    """One change: bytes flipped, cut, doubled or taken from another input; or a new frame."""
    at = rng.randrange(len(data) + 1)
    to = min(len(data), at + rng.randrange(1, 40))
    choice = rng.randrange(6)
    if choice == 0 and at < len(data):
        return data[:at] + bytes((rng.randrange(256),)) + data[at + 1 :]
    if choice == 1:
        return data[:at] + data[to:]
    if choice == 2:
        return data[:to] + data[at:to] * rng.randrange(1, 8) + data[to:]
    if choice == 3:
        other = rng.choice(others)
        return data[:at] + other[rng.randrange(len(other) + 1) :]
    if choice == 4:
        payload = rng.randbytes(rng.choice((0, 1, 4, 5, 6, 8, 20)))
        kind, flags = rng.randrange(11), rng.choice((0, 1, 4, 5, 8, 13, 37))
        return data + frames.frame(kind, flags, rng.randrange(8), payload)
    return data + rng.choice(others)[len(frames.PREFACE) + 9 :]


def fuzz(name: str, seconds: float, seed: int) -> int:
    """Mutate the corpus of a target for a while; returns how many inputs were new."""
    directory = CORPUS / name
    run = TARGETS[name]
    inputs = [path.read_bytes() for path in sorted(directory.iterdir())]
    seen = {trait for data in inputs for trait in run(data)}
    rng = random.Random(seed)
    found = 0
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        data = rng.choice(inputs)
        for _ in range(rng.randrange(1, 5)):
            data = mutate(data, inputs, rng)[:_LONGEST]
        traits = run(data)
        if not traits <= seen:
            seen |= traits
            inputs.append(data)
            found += 1
            (directory / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=30.0, help="per target")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    for name in TARGETS:
        print(f"{name}: {fuzz(name, arguments.seconds, arguments.seed)} new inputs")


if __name__ == "__main__":
    main()
