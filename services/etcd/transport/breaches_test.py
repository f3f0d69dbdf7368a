"""Breaches of HTTP/2's rules, and what answers each. Section numbers are RFC 9113's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.etcd.transport import frames
from services.etcd.transport.errors import ErrorCode
from services.etcd.transport.testkit import (
    HOLD,
    Wire,
    data,
    goaways,
    grpc_message,
    resets,
)

# --- breaches that end the connection

Build = Callable[[Wire], bytes]


@pytest.mark.parametrize(
    ("build", "code"),
    [
        pytest.param(
            lambda w: frames.frame(frames.DATA, 0, 0, b"x"),
            ErrorCode.PROTOCOL_ERROR,
            id="6.1 DATA on 0",
        ),
        pytest.param(
            lambda w: data(1, b"x"), ErrorCode.PROTOCOL_ERROR, id="5.1 DATA on an idle stream"
        ),
        pytest.param(
            lambda w: frames.rst_stream(1, 8), ErrorCode.PROTOCOL_ERROR, id="5.1 RST_STREAM on idle"
        ),
        pytest.param(
            lambda w: frames.window_update(1, 1),
            ErrorCode.PROTOCOL_ERROR,
            id="5.1 WINDOW_UPDATE on idle",
        ),
        pytest.param(lambda w: w.head(2), ErrorCode.PROTOCOL_ERROR, id="5.1.1 even stream id"),
        pytest.param(
            lambda w: w.call(5) + w.head(3), ErrorCode.STREAM_CLOSED, id="5.1.1 stream id goes back"
        ),
        pytest.param(
            lambda w: w.head(1, "/no/such", end=True) + w.head(1),
            ErrorCode.STREAM_CLOSED,
            id="5.1 HEADERS on closed",
        ),
        pytest.param(
            lambda w: frames.frame(frames.DATA, 0, 1, b"x" * 16_385),
            ErrorCode.FRAME_SIZE_ERROR,
            id="4.2 frame too long",
        ),
        pytest.param(
            lambda w: frames.frame(frames.PING, 0, 0, b"short"),
            ErrorCode.FRAME_SIZE_ERROR,
            id="6.7 PING of five bytes",
        ),
        pytest.param(
            lambda w: frames.frame(frames.PING, 0, 1, b"12345678"),
            ErrorCode.PROTOCOL_ERROR,
            id="6.7 PING on a stream",
        ),
        pytest.param(
            lambda w: frames.frame(frames.SETTINGS, 0, 0, b"12345"),
            ErrorCode.FRAME_SIZE_ERROR,
            id="6.5 SETTINGS not whole",
        ),
        pytest.param(
            lambda w: frames.frame(frames.SETTINGS, 0, 1, b""),
            ErrorCode.PROTOCOL_ERROR,
            id="6.5 SETTINGS on a stream",
        ),
        pytest.param(
            lambda w: frames.frame(frames.SETTINGS, frames.ACK, 0, b"123456"),
            ErrorCode.FRAME_SIZE_ERROR,
            id="6.5 SETTINGS answer with a payload",
        ),
        pytest.param(
            lambda w: frames.settings([(frames.ENABLE_PUSH, 2)]),
            ErrorCode.PROTOCOL_ERROR,
            id="6.5.2 ENABLE_PUSH of 2",
        ),
        pytest.param(
            lambda w: frames.settings([(frames.INITIAL_WINDOW_SIZE, 1 << 31)]),
            ErrorCode.FLOW_CONTROL_ERROR,
            id="6.5.2 INITIAL_WINDOW_SIZE too large",
        ),
        pytest.param(
            lambda w: frames.settings([(frames.MAX_FRAME_SIZE, 100)]),
            ErrorCode.PROTOCOL_ERROR,
            id="6.5.2 MAX_FRAME_SIZE too small",
        ),
        pytest.param(
            lambda w: frames.window_update(0, 0),
            ErrorCode.PROTOCOL_ERROR,
            id="6.9 WINDOW_UPDATE of 0",
        ),
        pytest.param(
            lambda w: frames.window_update(0, frames.MAX_WINDOW),
            ErrorCode.FLOW_CONTROL_ERROR,
            id="6.9.1 connection window overflow",
        ),
        pytest.param(
            lambda w: frames.frame(frames.WINDOW_UPDATE, 0, 0, b"123"),
            ErrorCode.FRAME_SIZE_ERROR,
            id="6.9 WINDOW_UPDATE of three bytes",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD)
            + frames.window_update(1, frames.MAX_WINDOW - frames.DEFAULT_WINDOW)
            + frames.settings([(frames.INITIAL_WINDOW_SIZE, frames.MAX_WINDOW)]),
            ErrorCode.FLOW_CONTROL_ERROR,
            id="6.9.2 SETTINGS overflow a stream window",
        ),
        pytest.param(
            lambda w: frames.frame(frames.PUSH_PROMISE, 4, 1, b"\0\0\0\2"),
            ErrorCode.PROTOCOL_ERROR,
            id="8.4 PUSH_PROMISE from a client",
        ),
        pytest.param(
            lambda w: frames.frame(frames.CONTINUATION, 4, 1, b""),
            ErrorCode.PROTOCOL_ERROR,
            id="6.10 CONTINUATION alone",
        ),
        pytest.param(
            lambda w: frames.frame(frames.HEADERS, 0, 1, b"\x82") + frames.ping(b"12345678"),
            ErrorCode.PROTOCOL_ERROR,
            id="4.3 header block interrupted",
        ),
        pytest.param(
            lambda w: frames.frame(frames.HEADERS, 0, 1, b"\x82")
            + frames.frame(frames.CONTINUATION, 4, 3, b""),
            ErrorCode.PROTOCOL_ERROR,
            id="6.10 CONTINUATION of another stream",
        ),
        pytest.param(
            lambda w: frames.frame(frames.HEADERS, 4, 1, b"\x80"),
            ErrorCode.COMPRESSION_ERROR,
            id="4.3 header block malformed",
        ),
        pytest.param(
            lambda w: frames.frame(frames.HEADERS, 4 | frames.PADDED, 1, b"\x05\x82"),
            ErrorCode.PROTOCOL_ERROR,
            id="6.2 padding longer than HEADERS",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD) + frames.frame(frames.DATA, frames.PADDED, 1, b"\x05x"),
            ErrorCode.PROTOCOL_ERROR,
            id="6.1 padding longer than DATA",
        ),
        pytest.param(
            lambda w: frames.frame(frames.GOAWAY, 0, 1, b"\0" * 8),
            ErrorCode.PROTOCOL_ERROR,
            id="6.8 GOAWAY on a stream",
        ),
        pytest.param(
            lambda w: frames.frame(frames.PRIORITY, 0, 0, b"\0" * 5),
            ErrorCode.PROTOCOL_ERROR,
            id="6.3 PRIORITY on 0",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD) + frames.frame(frames.RST_STREAM, 0, 1, b"\0" * 3),
            ErrorCode.FRAME_SIZE_ERROR,
            id="6.4 RST_STREAM of three bytes",
        ),
    ],
)
def test_connection_errors(build: Build, code: ErrorCode) -> None:
    wire = Wire()
    got = wire.send(build(wire))
    assert [c for c, _ in goaways(got)] == [code]
    assert wire.session.closed
    assert not wire.session.streams
    assert wire.send(wire.call(101)) == []


@pytest.mark.parametrize(
    "opening",
    [
        pytest.param(b"GET / HTTP/1.1\r\n\r\n" + b" " * 24, id="another protocol"),
        pytest.param(frames.PREFACE[:-1] + b"x", id="wrong last byte"),
        pytest.param(frames.PREFACE + frames.ping(b"12345678"), id="3.4 no SETTINGS first"),
        pytest.param(frames.PREFACE + frames.SETTINGS_ACK, id="3.4 an answer first"),
    ],
)
def test_bad_openings(opening: bytes) -> None:
    wire = Wire()
    fresh = type(wire.session)(wire.dispatcher, wire.session.peer, lambda: None, 0.0)
    fresh.receive(opening, 0.0)
    assert fresh.closed


# --- breaches that end one stream


@pytest.mark.parametrize(
    ("build", "code"),
    [
        pytest.param(
            lambda w: w.head(1, HOLD, end=True) + data(1, b"x"),
            None,
            id="answered already",
        ),
        pytest.param(
            lambda w: w.call(1, b"", HOLD) + data(1, b"x"),
            ErrorCode.STREAM_CLOSED,
            id="5.1 DATA after the end",
        ),
        pytest.param(
            lambda w: w.call(1, b"", HOLD) + w.head(1, end=True),
            ErrorCode.STREAM_CLOSED,
            id="5.1 HEADERS after the end",
        ),
        pytest.param(
            lambda w: w.head(1, "/no/such", end=True) + data(1, b"x"),
            ErrorCode.STREAM_CLOSED,
            id="5.1 DATA on a closed stream",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD) + frames.window_update(1, 0),
            ErrorCode.PROTOCOL_ERROR,
            id="6.9 WINDOW_UPDATE of 0",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD) + frames.window_update(1, frames.MAX_WINDOW),
            ErrorCode.FLOW_CONTROL_ERROR,
            id="6.9.1 stream window overflow",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD) + w.head(1),
            ErrorCode.PROTOCOL_ERROR,
            id="8.1 trailers without the end",
        ),
        pytest.param(
            lambda w: w.head(1, extra=(("X-Upper", "a"),)),
            ErrorCode.PROTOCOL_ERROR,
            id="8.2.1 upper case",
        ),
        pytest.param(
            lambda w: w.head(1, extra=(("x", "a\r\nb"),)),
            ErrorCode.PROTOCOL_ERROR,
            id="8.2.1 line break in a value",
        ),
        pytest.param(
            lambda w: w.head(1, extra=(("connection", "close"),)),
            ErrorCode.PROTOCOL_ERROR,
            id="8.2.2 connection field",
        ),
        pytest.param(
            lambda w: w.raw_head(1, [("te", "gzip"), (":method", "POST")]),
            ErrorCode.PROTOCOL_ERROR,
            id="8.2.2 te other than trailers",
        ),
        pytest.param(
            lambda w: w.head(1, extra=((":path", "/again"),)),
            ErrorCode.PROTOCOL_ERROR,
            id="8.3 pseudo-header late",
        ),
        pytest.param(
            lambda w: w.raw_head(1, [(":method", "POST"), (":method", "GET")]),
            ErrorCode.PROTOCOL_ERROR,
            id="8.3 pseudo-header twice",
        ),
        pytest.param(
            lambda w: w.raw_head(1, [(":status", "200")]),
            ErrorCode.PROTOCOL_ERROR,
            id="8.3 pseudo-header of responses",
        ),
        pytest.param(
            lambda w: w.raw_head(1, [(":method", "POST"), (":scheme", "http")]),
            ErrorCode.PROTOCOL_ERROR,
            id="8.3.1 no path",
        ),
        pytest.param(
            lambda w: w.head(1, extra=(("content-length", "7"),))
            + data(1, grpc_message(b""), True),
            ErrorCode.PROTOCOL_ERROR,
            id="8.1.1 body shorter than content-length",
        ),
        pytest.param(
            lambda w: w.head(1, extra=(("content-length", "2"),)) + data(1, grpc_message(b"")),
            ErrorCode.PROTOCOL_ERROR,
            id="8.1.1 body longer than content-length",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD, True, extra=(("content-length", "2"),)),
            ErrorCode.PROTOCOL_ERROR,
            id="8.1.1 no body but content-length",
        ),
        pytest.param(
            lambda w: w.head(1, HOLD) + data(1, b"\0\0\1\0\0" + b"x" * 70_000),
            ErrorCode.FLOW_CONTROL_ERROR,
            id="6.9.1 stream window overrun",
        ),
    ],
)
def test_stream_errors(build: Build, code: ErrorCode | None) -> None:
    wire = Wire()
    got = wire.send(build(wire))
    wire.answers(got)
    assert not goaways(got)
    if code is not None:
        assert resets(got) == [(1, code)]
    assert 1 not in wire.session.streams
    assert wire.answers(wire.send(wire.call(3, b"x")))[3][0] == grpc_message(b"x")
