"""A hostile peer against each limit, named after the attack where it has a name."""

from __future__ import annotations

import pytest

from services.etcd.transport import frames
from services.etcd.transport.allowance import Allowance
from services.etcd.transport.errors import ErrorCode
from services.etcd.transport.hpack import encode_integer
from services.etcd.transport.limits import Keepalive, Limits
from services.etcd.transport.testkit import (
    HOLD,
    Frame,
    Wire,
    data,
    goaways,
    grpc_message,
    resets,
)

CALM = ErrorCode.ENHANCE_YOUR_CALM


def flood(wire: Wire, piece: bytes, times: int) -> list[Frame]:
    """Send the same bytes often, until the server has had enough."""
    got: list[Frame] = []
    for _ in range(times):
        got += wire.send(piece)
        if wire.session.closed:
            break
    return got


@pytest.mark.parametrize(
    "piece",
    [
        pytest.param(frames.settings(()), id="settings flood, CVE-2019-9515"),
        pytest.param(frames.SETTINGS_ACK, id="flood of settings answers"),
        pytest.param(frames.ping(b"12345678", ack=True), id="flood of ping answers"),
        pytest.param(
            frames.frame(frames.PRIORITY, 0, 1, b"\0\0\0\0\1"), id="resource loop, CVE-2019-9513"
        ),
        pytest.param(frames.window_update(0, 1), id="window updates of one byte"),
        pytest.param(frames.frame(0x99, 0, 0), id="frames of unknown kinds"),
        pytest.param(frames.frame(frames.DATA, 0, 1), id="empty frames, CVE-2019-9518"),
        pytest.param(
            frames.frame(frames.DATA, frames.PADDED, 1, b"\x03\0\0\0"), id="frames of padding"
        ),
        pytest.param(frames.rst_stream(99, 8), id="reset of a stream never opened"),
        pytest.param(frames.frame(frames.GOAWAY, 0, 0, b"\0" * 8), id="goaway flood"),
    ],
)
def test_floods_of_frames_without_a_request(piece: bytes) -> None:
    wire = Wire(Limits(control_frames=100))
    wire.send(wire.head(1, HOLD))
    got = flood(wire, piece, 200)
    assert [code for code, _ in goaways(got)] in ([CALM], [ErrorCode.PROTOCOL_ERROR])
    assert wire.session.closed


def test_useful_traffic_pays_for_control_frames() -> None:
    wire = Wire(Limits(control_frames=100))
    for n in range(1000):
        wire.send(wire.call(2 * n + 1, b"x"), frames.window_update(0, 6), frames.settings(()))
    assert not wire.session.closed


def test_time_pays_for_control_frames() -> None:
    wire = Wire(Limits(control_frames=10, control_rate=1.0))
    for _ in range(100):
        wire.send(frames.settings(()))
        wire.loop.advance(1.0)
    assert not wire.session.closed


def test_allowance_never_grows_above_its_burst() -> None:
    allowance = Allowance(2, 1.0, 0.0)
    assert [allowance.spend(1000.0) for _ in range(3)] == [True, True, False]


def test_ping_flood() -> None:
    """CVE-2019-9512: too many strikes, in gRPC's words."""
    wire = Wire()
    wire.send(wire.call(1, b"", HOLD))
    got = flood(wire, frames.ping(b"12345678"), 10)
    assert goaways(got) == [(CALM, b"too_many_pings")]


@pytest.mark.parametrize(
    ("keepalive", "stream", "every", "allowed"),
    [
        pytest.param(Keepalive(), True, 5.0, True, id="at min time with a stream"),
        pytest.param(Keepalive(), True, 4.9, False, id="faster with a stream"),
        pytest.param(Keepalive(), False, 5.0, False, id="at min time without a stream"),
        pytest.param(Keepalive(), False, 7200.0, True, id="every two hours without a stream"),
        pytest.param(
            Keepalive(permit_without_stream=True), False, 5.0, True, id="permitted without a stream"
        ),
    ],
)
def test_keepalive_policy(keepalive: Keepalive, stream: bool, every: float, allowed: bool) -> None:
    wire = Wire(Limits(keepalive=keepalive))
    if stream:
        wire.send(wire.call(1, b"", HOLD))
    for _ in range(10):
        wire.send(frames.ping(b"12345678"))
        wire.loop.advance(every)
    assert wire.session.closed is not allowed


def test_answers_clear_ping_strikes() -> None:
    wire = Wire()
    for n in range(20):
        wire.send(wire.call(2 * n + 1, b"x"), frames.ping(b"12345678"))
    assert not wire.session.closed


def test_rapid_reset() -> None:
    """CVE-2023-44487: streams opened and cancelled at once."""
    wire = Wire(Limits(resets=100))
    got: list[Frame] = []
    for n in range(200):
        sid = 2 * n + 1
        got += wire.send(wire.head(sid, HOLD), frames.rst_stream(sid, ErrorCode.CANCEL))
        if wire.session.closed:
            break
    assert [code for code, _ in goaways(got)] == [CALM]
    assert n == 100


def test_streams_made_to_be_reset() -> None:
    """CVE-2025-8671: the server is provoked into the resets."""
    wire = Wire(Limits(resets=100))
    got: list[Frame] = []
    for n in range(200):
        sid = 2 * n + 1
        got += wire.send(wire.head(sid, HOLD), frames.window_update(sid, 0))
        if wire.session.closed:
            break
    assert [code for code, _ in goaways(got)] == [CALM]


def test_continuation_flood() -> None:
    """CVE-2024-27316 and its kin: a header block without an end."""
    wire = Wire()
    got = wire.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
    piece = frames.frame(frames.CONTINUATION, 0, 1, b"\x00\x01a\x7f\x80\x3f" + b"x" * 8000)
    got += flood(wire, piece, 100)
    assert goaways(got) == [(CALM, b"header block too long")]


def test_continuation_flood_of_empty_frames() -> None:
    wire = Wire()
    got = wire.send(frames.frame(frames.HEADERS, 0, 1, b"\x82"))
    got += flood(wire, frames.frame(frames.CONTINUATION, 0, 1), 100)
    assert goaways(got) == [(CALM, b"header block too long")]


def test_header_bomb() -> None:
    """CVE-2016-6581: one large table entry, referred to thousands of times."""
    wire = Wire()
    bomb = b"\x40\x01a" + encode_integer(4000, 7) + b"x" * 4000 + b"\xbe" * 10_000
    got = wire.send(frames.frame(frames.HEADERS, 5, 1, bomb))
    assert [code for code, _ in goaways(got)] == [ErrorCode.COMPRESSION_ERROR]


def test_header_list_above_the_limit_ends_the_stream_only() -> None:
    wire = Wire(Limits(header_list=1000))
    got = wire.send(wire.head(1, end=True, extra=(("x-a", "y" * 900),)))
    assert resets(got) == [(1, CALM)]
    assert wire.answers(wire.send(wire.call(3, b"x")))[3][0] == grpc_message(b"x")


def test_header_leak() -> None:
    """CVE-2019-9516: fields with empty names and values."""
    wire = Wire()
    wire.send(frames.frame(frames.HEADERS, 5, 1, b"\x82" + b"\x00\x00\x00" * 4000))
    assert 1 not in wire.session.streams


def test_zero_window_holds_a_bounded_queue() -> None:
    """CVE-2019-9517: answers asked for, and no window to send them."""
    wire = Wire(Limits(outbound_queue=100_000))
    wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]))
    got: list[Frame] = []
    for n in range(30):
        got += wire.send(wire.call(2 * n + 1, b"x" * 10_000))
    refused = resets(got)
    assert refused
    assert {code for _, code in refused} == {ErrorCode.REFUSED_STREAM}
    assert wire.session.queued <= 120_000


def test_answers_never_read_end_the_connection() -> None:
    wire = Wire(Limits(outbound_cap=100_000))
    wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, 0)]))
    for n in range(8):
        wire.send(wire.call(2 * n + 1, b"x" * 10_000, HOLD))
    for call in wire.held:
        call.reply(b"x" * 20_000)
    assert [code for code, _ in goaways(wire.turn())] == [CALM]


def test_unfinished_messages_are_bounded() -> None:
    wire = Wire(Limits(inbound_buffer=100_000))
    got: list[Frame] = []
    for n in range(8):
        start = grpc_message(b"x" * 40_000)[:-1]
        got += wire.send(wire.head(2 * n + 1, HOLD), data(2 * n + 1, start))
        if wire.session.closed:
            break
    assert [code for code, _ in goaways(got)] == [CALM]


def test_message_above_the_limit_is_refused_at_its_prefix() -> None:
    wire = Wire()
    got = wire.send(wire.head(1), data(1, b"\0" + (2 * 1024 * 1024 + 1).to_bytes(4, "big")))
    fields = wire.answers(got)[1][1]
    assert fields["grpc-status"] == "8"
    assert fields["grpc-message"] == (
        "grpc: received message larger than max (2097153 vs. 2097152)"
    )


def test_settings_that_touch_every_stream_cost_more() -> None:
    """Many streams, and INITIAL_WINDOW_SIZE back and forth."""
    wire = Wire(Limits(control_frames=100))
    wire.send(b"".join(wire.head(2 * n + 1, HOLD) for n in range(5120)))
    got: list[Frame] = []
    for n in range(2000):
        got += wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, 1000 + n % 2)]))
        if wire.session.closed:
            break
    assert [code for code, _ in goaways(got)] == [CALM]


def test_many_values_in_one_settings_frame_are_applied_once() -> None:
    wire = Wire()
    wire.send(wire.head(1, HOLD))
    values = [(frames.INITIAL_WINDOW_SIZE, n) for n in range(2730)]
    got = wire.send(frames.settings(values))
    assert [(f.kind, f.flags) for f in got] == [(frames.SETTINGS, frames.ACK)]
    assert wire.session.streams[1].send_window == 2729
