"""What an HTTP/2 connection does for a peer that keeps the rules."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.etcd.transport import frames
from services.etcd.transport.errors import ErrorCode
from services.etcd.transport.limits import Limits
from services.etcd.transport.testkit import (
    ECHO,
    HOLD,
    Wire,
    data,
    grpc_message,
    resets,
)

SMALL = Limits(streams=4)


def test_greeting_states_the_limits_and_opens_the_window() -> None:
    wire = Wire()
    kinds = [(f.kind, f.flags, f.sid) for f in wire.greeting]
    assert kinds == [
        (frames.SETTINGS, 0, 0),
        (frames.WINDOW_UPDATE, 0, 0),
        (frames.SETTINGS, frames.ACK, 0),
    ]
    values = dict(frames.parse_settings(wire.greeting[0].payload))
    assert values[frames.MAX_CONCURRENT_STREAMS] == Limits().streams
    assert values[frames.MAX_HEADER_LIST_SIZE] == Limits().header_list


def test_unary_call_and_the_reply_that_repeats() -> None:
    wire = Wire()
    for sid in (1, 3, 5):
        got = wire.send(wire.call(sid, b"hello"))
        assert [f.kind for f in got] == [frames.HEADERS, frames.DATA, frames.HEADERS]
        assert wire.answers(got)[sid] == (
            grpc_message(b"hello"),
            {":status": "200", "content-type": "application/grpc", "grpc-status": "0"},
        )
        size = sum(len(f.payload) for f in got)
    assert size == len(grpc_message(b"hello")) + 3
    assert not wire.session.streams


@given(
    st.lists(st.binary(max_size=40), min_size=1, max_size=8),
    st.lists(st.integers(1, 60), max_size=20),
)
def test_bytes_may_be_cut_anywhere(payloads: list[bytes], cuts: list[int]) -> None:
    wire = Wire()
    stream = b"".join(wire.call(2 * n + 1, payload) for n, payload in enumerate(payloads))
    got = []
    for cut in cuts:
        got += wire.send(stream[:cut])
        stream = stream[cut:]
    got += wire.send(stream)
    bodies = {sid: body for sid, (body, _) in wire.answers(got).items()}
    assert bodies == {2 * n + 1: grpc_message(p) for n, p in enumerate(payloads)}


def test_preface_may_come_byte_by_byte() -> None:
    wire = Wire()
    fresh = type(wire.session)(wire.dispatcher, wire.session.peer, lambda: None, 0.0)
    for byte in frames.PREFACE + frames.settings(()):
        fresh.receive(bytes((byte,)), 0.0)
    assert fresh.started
    assert not fresh.closed


def test_one_batch_for_all_calls_of_a_read() -> None:
    wire = Wire()
    wire.send(b"".join(wire.call(sid) for sid in range(1, 200, 2)))
    assert wire.batches == [100]


def test_headers_continued() -> None:
    wire = Wire()
    block = wire.encoder.encode(
        [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", ECHO),
            ("content-type", "application/grpc"),
            ("x-long", "y" * 300),
        ]
    )
    got = wire.send(
        frames.frame(frames.HEADERS, 0, 1, block[:10]),
        frames.frame(frames.CONTINUATION, 0, 1, block[10:20]),
        frames.frame(frames.CONTINUATION, frames.END_HEADERS, 1, block[20:]),
        data(1, grpc_message(b"x"), end=True),
    )
    assert wire.answers(got)[1][0] == grpc_message(b"x")


def test_padding_and_priority_are_skipped_and_counted() -> None:
    wire = Wire()
    block = wire.head(1)[9:]
    padded = b"\x03" + b"\0\0\0\0\x10" + block + b"\0\0\0"
    flags = frames.END_HEADERS | frames.PADDED | frames.PRIORITISED
    body = b"\x04" + grpc_message(b"x") + b"\0" * 4
    got = wire.send(
        frames.frame(frames.HEADERS, flags, 1, padded),
        frames.frame(frames.DATA, frames.PADDED | frames.END_STREAM, 1, body),
    )
    assert wire.answers(got)[1][0] == grpc_message(b"x")


def test_message_in_many_frames_with_trailers_at_the_end() -> None:
    wire = Wire()
    message = grpc_message(b"abcdef")
    trailers = wire.encoder.encode([("x-check", "1")])
    got = wire.send(
        wire.head(1),
        *(data(1, message[i : i + 1]) for i in range(len(message))),
        frames.frame(frames.HEADERS, frames.END_HEADERS | frames.END_STREAM, 1, trailers),
    )
    assert wire.answers(got)[1][0] == message


def test_peer_table_size_of_zero_and_back() -> None:
    wire = Wire()
    got = wire.send(frames.settings([(frames.HEADER_TABLE_SIZE, 0)]), wire.call(1), wire.call(3))
    wire.decoder.max_allowed_table_size = 0
    assert {sid: f["grpc-status"] for sid, (_, f) in wire.answers(got).items()} == {1: "0", 3: "0"}
    assert not wire.decoder.header_table.dynamic_entries
    got = wire.send(frames.settings([(frames.HEADER_TABLE_SIZE, 4096)]), wire.call(5), wire.call(7))
    wire.decoder.max_allowed_table_size = 4096
    assert {sid: f["grpc-status"] for sid, (_, f) in wire.answers(got).items()} == {5: "0", 7: "0"}


def test_ping_is_echoed() -> None:
    wire = Wire()
    got = wire.send(frames.ping(b"12345678"))
    assert [(f.kind, f.flags, f.payload) for f in got] == [(frames.PING, frames.ACK, b"12345678")]


def test_unknown_frames_and_settings_are_ignored() -> None:
    wire = Wire()
    got = wire.send(
        frames.frame(0x42, 0xFF, 7, b"what"),
        frames.settings([(0x4242, 7)]),
        frames.frame(frames.PRIORITY, 0, 9, b"\0\0\0\x01\x10"),
        wire.call(1, b"x"),
    )
    assert wire.answers(got)[1][0] == grpc_message(b"x")


# --- flow control


def test_answer_waits_for_the_stream_window() -> None:
    wire = Wire()
    wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, 3)]))
    got = wire.send(wire.call(1, b"abcdef"))
    assert [(f.kind, f.payload) for f in got[1:]] == [(frames.DATA, b"\0\0\0")]
    assert [f.payload for f in wire.send(frames.window_update(1, 4))] == [b"\0\x06ab"]
    got = wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, 100)]))
    assert [f.kind for f in got] == [frames.DATA, frames.HEADERS, frames.SETTINGS]
    assert got[0].payload == b"cdef"
    assert wire.session.queued == 0


def test_small_answers_pass_one_that_waits() -> None:
    wire = Wire()
    wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, 10)]))
    got = wire.send(wire.call(1, b"x" * 100), wire.call(3, b"ok"))
    assert wire.answers(got)[3][1]["grpc-status"] == "0"


def test_connection_window_is_shared_by_turns() -> None:
    wire = Wire()
    body = b"z" * 60_000
    wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, 1 << 30)]))
    got = wire.send(wire.head(1), data(1, grpc_message(body), end=True))
    got += wire.send(wire.head(3), data(3, grpc_message(body), end=True))
    sent = [f for f in got if f.kind == frames.DATA]
    assert sum(len(f.payload) for f in sent) == frames.DEFAULT_WINDOW
    got += wire.send(frames.window_update(0, 1 << 20))
    answers = wire.answers(got)
    assert [len(answers[sid][0]) for sid in (1, 3)] == [60_005, 60_005]
    assert [answers[sid][1]["grpc-status"] for sid in (1, 3)] == ["0", "0"]
    assert wire.session.queued == 0


@given(
    st.lists(st.integers(0, 400), min_size=1, max_size=6),
    st.lists(st.tuples(st.integers(0, 6), st.integers(1, 300)), max_size=40),
    st.integers(0, 200),
)
@settings(max_examples=60)
def test_never_more_than_the_windows_and_all_of_it_in_the_end(
    sizes: list[int], updates: list[tuple[int, int]], initial: int
) -> None:
    wire = Wire()
    windows = {0: frames.DEFAULT_WINDOW}
    wire.send(frames.settings([(frames.INITIAL_WINDOW_SIZE, initial)]))
    got = []
    for n, size in enumerate(sizes):
        windows[2 * n + 1] = initial
        got += wire.send(wire.call(2 * n + 1, bytes([n]) * size))
    sent = dict.fromkeys(windows, 0)

    def check() -> None:
        for f in got:
            if f.kind == frames.DATA:
                sent[f.sid] += len(f.payload)
                sent[0] += len(f.payload)
        assert all(sent[sid] <= windows[sid] for sid in windows)

    check()
    bodies = wire.answers(got)
    for n, increment in [*updates, *((k, 1000) for k in range(len(sizes)))]:
        sid = 2 * n + 1
        if n >= len(sizes):
            continue
        windows[sid] += increment
        got = wire.send(frames.window_update(sid, increment))
        check()
        for key, (body, fields) in wire.answers(got).items():
            old = bodies.get(key, (b"", {}))
            bodies[key] = (old[0] + body, {**old[1], **fields})
    for n, size in enumerate(sizes):
        body, fields = bodies[2 * n + 1]
        assert body == grpc_message(bytes([n]) * size)
        assert fields["grpc-status"] == "0"


def test_long_messages_get_window_when_their_length_is_known() -> None:
    wire = Wire()
    message = grpc_message(b"m" * 1_000_000)
    got = wire.send(wire.head(1), data(1, message[:16_384]))
    grants = [f for f in got if f.kind == frames.WINDOW_UPDATE and f.sid == 1]
    granted = sum(int.from_bytes(f.payload, "big") for f in grants)
    assert granted == len(message) - Limits().stream_window
    wire.send(frames.window_update(0, 1 << 24), frames.window_update(1, 1 << 24))
    got = wire.send(data(1, message[16_384:], end=True))
    assert wire.answers(got)[1][0] == message
    assert wire.session.buffered == 0


def test_long_messages_beyond_the_budget_take_turns() -> None:
    wire = Wire(Limits(inbound_grants=1_000_000))
    start = grpc_message(b"m" * 900_000)[:5]
    wire.send(wire.head(1, HOLD), wire.head(3, HOLD), wire.head(5, HOLD))
    assert [f.sid for f in wire.send(data(1, start))] == [1]
    assert wire.send(data(3, start), data(5, start)) == []
    got = wire.send(frames.rst_stream(1, 8))
    assert [f.sid for f in got] == [3]
    got = wire.send(frames.rst_stream(3, 8))
    assert [f.sid for f in got] == [5]


def test_connection_window_comes_back() -> None:
    wire = Wire(Limits(connection_window=100_000))
    total = 0
    for n in range(20):
        got = wire.send(wire.call(2 * n + 1, b"x" * 10_000))
        total += sum(
            int.from_bytes(f.payload, "big")
            for f in got
            if f.kind == frames.WINDOW_UPDATE and f.sid == 0
        )
        wire.send(frames.window_update(0, 10_005))
    assert total >= 150_000


def test_slow_socket_holds_answers_back() -> None:
    wire = Wire()
    wire.session.set_socket_ready(False)
    got = wire.send(wire.call(1, b"abc"))
    assert [f.kind for f in got] == [frames.HEADERS]
    wire.session.set_socket_ready(True)
    assert [f.kind for f in wire.turn()] == [frames.DATA, frames.HEADERS]


# --- streams that do not run their course


def test_a_stream_that_is_refused_can_be_tried_again() -> None:
    wire = Wire(SMALL)
    for sid in (1, 3, 5, 7):
        assert wire.send(wire.call(sid, b"", HOLD)) == []
    assert resets(wire.send(wire.call(9, b"", HOLD))) == [(9, ErrorCode.REFUSED_STREAM)]
    wire.held[0].reply(b"")
    assert wire.turn()
    assert wire.send(wire.call(11, b"", HOLD)) == []


def test_an_answer_before_the_requests_end_stops_the_request() -> None:
    wire = Wire()
    got = wire.send(wire.head(1, "/no/such"), data(1, b"x" * 100))
    assert wire.answers(got)[1][1]["grpc-status"] == "12"
    assert resets(got) == [(1, ErrorCode.NO_ERROR)]


def test_cancelled_call_ignores_its_answer() -> None:
    wire = Wire()
    wire.send(wire.call(1, b"x", HOLD))
    wire.send(frames.rst_stream(1, ErrorCode.CANCEL))
    assert not wire.held[0].active
    wire.held[0].reply(b"late")
    assert wire.turn() == []


# --- the drain


def test_graceful_drain() -> None:
    wire = Wire()
    wire.send(wire.call(1, b"x", HOLD))
    wire.session.drain()
    got = wire.turn()
    assert got[0].payload[:4] == frames.MAX_STREAM_ID.to_bytes(4, "big")
    wire.send(wire.call(3, b"y", HOLD))
    got = wire.send(frames.ping(got[1].payload, ack=True))
    assert got[0].payload[:4] == (3).to_bytes(4, "big")
    assert wire.send(wire.call(5, b"z", HOLD)) == []
    assert not wire.session.finished()
    for call in wire.held:
        call.reply(b"bye")
    answers = wire.answers(wire.turn())
    assert sorted(answers) == [1, 3]
    assert wire.session.finished()


def test_silent_peer_is_pinged_then_dropped() -> None:
    wire = Wire()
    session, start = wire.session, wire.loop.now
    assert not session.overdue(start + 7199)
    assert not session.overdue(start + 7200)
    assert [f.kind for f in wire.turn()] == [frames.PING]
    assert not session.overdue(start + 7219)
    assert session.overdue(start + 7220)
    session.receive(frames.ping(b"keepaliv", ack=True), start + 7221)
    assert not session.overdue(start + 7222)
