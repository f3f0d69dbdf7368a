"""gRPC's rules for unary calls, against a session without a socket."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.transport import frames, grpc
from services.etcd.transport.calls import UnaryCall
from services.etcd.transport.errors import ErrorCode, GrpcError, Status, TransportError
from services.etcd.transport.methods import Kind, Method, MethodTable
from services.etcd.transport.testkit import ECHO, HOLD, Wire, data, grpc_message, resets


def refuse(calls: list[UnaryCall]) -> None:
    for call in calls:
        call.fail(Status.NOT_FOUND, "no 100% ünïcode\n", (("detail-bin", b"\0\xff"), ("x", "y")))


def crash(calls: list[UnaryCall]) -> None:
    calls[0].reply(b"first")
    raise RuntimeError("defect")


def parse_digits(payload: bytes) -> int:
    return int(payload)


def meet(calls: list[UnaryCall]) -> None:
    for call in calls:
        call.reply(b"%d" % call.request, (("x-extra", "1"),))


ROWS = (
    Method("/test.Other/Refuse", Kind.BATCH, bytes, bytes, refuse),
    Method("/test.Other/Crash", Kind.BATCH, bytes, bytes, crash),
    Method("/test.Other/Digits", Kind.BATCH, parse_digits, bytes, meet),
)


def outcome(wire: Wire, *data: bytes, sid: int = 1) -> tuple[str, str]:
    fields = wire.answers(wire.send(*data))[sid][1]
    return fields["grpc-status"], fields.get("grpc-message", "")


@pytest.mark.parametrize(
    ("path", "extra", "status", "message"),
    [
        pytest.param(
            "/test.Echo/None", (), 12, "unknown method None for service test.Echo", id="method"
        ),
        pytest.param("/a.B/C", (), 12, "unknown service a.B", id="service"),
        pytest.param("/nothing", (), 12, 'malformed method name: "nothing"', id="name"),
        pytest.param(
            ECHO, (("grpc-timeout", "5x"),), 13, "malformed grpc-timeout: 5x", id="bad timeout"
        ),
        pytest.param(
            ECHO,
            (("grpc-encoding", "zstd"),),
            12,
            'grpc: Decompressor is not installed for grpc-encoding "zstd"',
            id="unknown compression",
        ),
        pytest.param(
            ECHO,
            (("x-bin", "a"),),
            13,
            "malformed binary metadata in header x-bin",
            id="metadata not base64",
        ),
    ],
)
def test_calls_that_cannot_start(
    path: str, extra: tuple[tuple[str, str], ...], status: int, message: str
) -> None:
    wire = Wire()
    got = wire.send(wire.head(1, path, extra=extra), data(1, grpc_message(b""), end=True))
    assert [f.kind for f in got] == [frames.HEADERS, frames.RST_STREAM]
    fields = wire.fields(got[0])
    assert (fields[":status"], fields["grpc-status"]) == ("200", str(status))
    assert fields["grpc-message"] == message
    assert fields["grpc-accept-encoding"] == "gzip"


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        pytest.param(b"", 13, "cardinality violation: no request message", id="nothing"),
        pytest.param(b"\0\0\0\0\5ab", 13, "unexpected EOF", id="cut"),
        pytest.param(b"\0\0", 13, "unexpected EOF", id="cut prefix"),
        pytest.param(
            grpc_message(b"a") * 2,
            13,
            "cardinality violation: more than one request message",
            id="two messages",
        ),
        pytest.param(
            b"\1\0\0\0\1x",
            13,
            "grpc: compressed flag set with identity or empty encoding",
            id="compressed without saying how",
        ),
        pytest.param(
            b"\7\0\0\0\1x", 13, "grpc: received unexpected payload format 7", id="unknown flag"
        ),
    ],
)
def test_bodies_that_are_no_request(body: bytes, status: int, message: str) -> None:
    wire = Wire()
    sent = wire.head(1) + data(1, body, end=True)
    assert outcome(wire, sent) == (str(status), message)
    assert wire.session.buffered == 0
    assert not wire.dispatcher.running


def test_head_without_body() -> None:
    wire = Wire()
    assert outcome(wire, wire.head(1, end=True))[0] == "13"


def test_error_with_text_and_metadata() -> None:
    wire = Wire(rows=ROWS)
    got = wire.send(wire.call(1, b"", "/test.Other/Refuse"))
    assert len(got) == 1
    fields = wire.fields(got[0])
    assert fields["grpc-status"] == "5"
    assert fields["grpc-message"] == "no 100%25 %C3%BCn%C3%AFcode%0A"
    assert (fields["detail-bin"], fields["x"]) == ("AP8", "y")


def test_request_that_does_not_parse_spoils_only_itself() -> None:
    wire = Wire(rows=ROWS)
    got = wire.send(
        wire.call(1, b"41", "/test.Other/Digits"), wire.call(3, b"x", "/test.Other/Digits")
    )
    answers = wire.answers(got)
    assert answers[1][0] == grpc_message(b"41")
    assert answers[1][1]["x-extra"] == "1"
    assert answers[3][1]["grpc-status"] == "13"
    assert answers[3][1]["grpc-message"].startswith("grpc: error unmarshalling request: ")


def test_handler_that_raises_leaves_no_call_hanging() -> None:
    wire = Wire(rows=ROWS)
    path = "/test.Other/Crash"
    got = wire.send(wire.call(1, b"", path), wire.call(3, b"", path), wire.call(5, b"x"))
    answers = wire.answers(got)
    assert answers[5][0] == grpc_message(b"x")
    assert answers[1][1]["grpc-status"] == "0"
    assert answers[3][1]["grpc-status"] == "13"


def test_answers_after_the_first_are_ignored() -> None:
    wire = Wire()
    wire.send(wire.call(1, b"", HOLD))
    call = wire.held[0]
    call.reply(b"a")
    call.reply(b"b")
    call.fail(Status.INTERNAL)
    answers = wire.answers(wire.turn())
    assert answers[1] == (grpc_message(b"a"), {**answers[1][1], "grpc-status": "0"})
    stats = wire.dispatcher.stats[HOLD.encode()]
    assert (stats.started, stats.ok, stats.failed) == (1, 1, {})


def test_deadline_passes() -> None:
    wire = Wire()
    wire.send(
        wire.head(1, HOLD, extra=(("grpc-timeout", "100m"),)), data(1, grpc_message(b""), end=True)
    )
    for _ in range(4):
        wire.loop.advance(0.02)
    assert wire.held[0].active
    for _ in range(4):
        wire.loop.advance(0.02)
    fields = wire.answers(wire.turn())[1][1]
    assert (fields["grpc-status"], fields["grpc-message"]) == ("4", "context deadline exceeded")
    wire.held[0].reply(b"late")
    assert wire.turn() == []
    assert not wire.dispatcher.deadlines


def test_deadline_is_forgotten_by_an_answer() -> None:
    wire = Wire()
    wire.send(wire.head(1, extra=(("grpc-timeout", "1S"),)), data(1, grpc_message(b""), end=True))
    assert not wire.dispatcher.deadlines
    wire.loop.advance(2)
    assert wire.turn() == []


def test_deadline_of_a_request_that_never_ends() -> None:
    wire = Wire()
    wire.send(wire.head(1, extra=(("grpc-timeout", "10m"),)))
    wire.loop.advance(0.05)
    got = wire.turn()
    assert wire.answers(got)[1][1]["grpc-status"] == "4"
    assert resets(got) == [(1, ErrorCode.NO_ERROR)]


def test_metadata_reaches_the_handler() -> None:
    wire = Wire()
    extra = (("token", "t.1"), ("k-bin", "AAE"), ("k-bin", "AAE=,Ag"), ("user-agent", "x"))
    wire.send(wire.head(1, HOLD, extra=extra), data(1, grpc_message(b""), end=True))
    assert wire.held[0].metadata == (
        ("token", "t.1"),
        ("k-bin", b"\0\1"),
        ("k-bin", b"\0\1"),
        ("k-bin", b"\2"),
    )


def test_gzip_both_ways() -> None:
    wire = Wire()
    body = gzip.compress(b"z" * 5000)
    message = b"\1" + len(body).to_bytes(4, "big") + body
    got = wire.send(
        wire.head(1, extra=(("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip"))),
        data(1, message, end=True),
    )
    answer, fields = wire.answers(got)[1]
    assert fields["grpc-encoding"] == "gzip"
    assert answer[0] == 1
    assert gzip.decompress(answer[5:]) == b"z" * 5000


def test_gzip_bomb() -> None:
    wire = Wire()
    body = gzip.compress(b"\0" * 50_000_000)
    message = b"\1" + len(body).to_bytes(4, "big") + body
    sent = wire.head(1, extra=(("grpc-encoding", "gzip"),)) + data(1, message, end=True)
    status, text = outcome(wire, sent)
    assert status == "8"
    assert "after decompression larger than max" in text


@pytest.mark.parametrize("body", [b"junk", gzip.compress(b"abc")[:-3]], ids=["junk", "cut"])
def test_gzip_broken(body: bytes) -> None:
    with pytest.raises(GrpcError, match="failed to decompress"):
        grpc.decompress(body, 100)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"2H", 7200.0),
        (b"3M", 180.0),
        (b"99999999S", 99_999_999.0),
        (b"5m", 0.005),
        (b"7u", 7e-6),
        (b"8n", 8e-9),
    ],
)
def test_timeouts(value: bytes, seconds: float) -> None:
    assert grpc.parse_timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"S", b"-1S", b"123456789S", b"1s", b"1S\n"])
def test_timeouts_refused(value: bytes) -> None:
    with pytest.raises(GrpcError):
        grpc.parse_timeout(value)


@given(st.text())
def test_status_messages_are_printable_and_reversible(text: str) -> None:
    from urllib.parse import unquote_to_bytes

    coded = grpc.encode_status_message(text)
    assert all(32 <= byte < 127 for byte in coded)
    assert unquote_to_bytes(coded) == text.encode("utf-8", "replace")


@given(st.lists(st.binary(max_size=30), max_size=6), st.lists(st.integers(1, 20), max_size=20))
def test_assembler_is_indifferent_to_cuts(messages: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(grpc_message(m) for m in messages)
    assembler = grpc.Assembler(100, gzip=False)
    got = []
    for cut in cuts:
        got += assembler.feed(stream[:cut])
        stream = stream[cut:]
    got += assembler.feed(stream)
    assert [m for m, _ in got] == messages
    assert assembler.held == assembler.missing == 0


@pytest.mark.parametrize(
    ("key", "value"), [("bad key", "x"), ("x", "line\nbreak"), ("x", "ü"), ("", "x")]
)
def test_metadata_that_may_not_travel(key: str, value: str) -> None:
    with pytest.raises(ValueError, match="may not travel"):
        grpc.encode_metadata(((key, value),))


def test_tables_refuse_doubles_and_bad_paths() -> None:
    row = Method(ECHO, Kind.BATCH, bytes, bytes, refuse)
    with pytest.raises(TransportError, match="declared twice"):
        MethodTable((row, row))
    with pytest.raises(TransportError, match="not a method's path"):
        Method("test/Echo", Kind.BATCH, bytes, bytes, refuse)
