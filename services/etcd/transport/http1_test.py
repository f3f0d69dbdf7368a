from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.transport.dispatch import Dispatcher
from services.etcd.transport.errors import HttpError
from services.etcd.transport.http import HttpRequest, HttpResponse, header_fields
from services.etcd.transport.http1 import END, Head, Parser
from services.etcd.transport.http1_session import Http1Session
from services.etcd.transport.limits import Limits
from services.etcd.transport.methods import MethodTable
from services.etcd.transport.peer import Peer

GET = b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n"


def parse(data: bytes) -> tuple[Head, bytes, bool]:
    events = Parser(Limits()).feed(data)
    head = events[0]
    assert isinstance(head, Head)
    return head, b"".join(e for e in events if isinstance(e, bytes)), END in events


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=5), st.lists(st.integers(1, 30)))
def test_chunks_cut_anywhere(chunks: list[bytes], cuts: list[int]) -> None:
    data = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    data += b"".join(b"%x;e=1\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\nT: v\r\n\r\n"
    parser, events = Parser(Limits()), []
    for cut in cuts:
        events += parser.feed(data[:cut])
        data = data[cut:]
    events += parser.feed(data)
    assert b"".join(e for e in events if isinstance(e, bytes)) == b"".join(chunks)
    assert events[-1] is END


def test_head_is_understood() -> None:
    head, body, ended = parse(
        b"\r\nPUT http://a:1/v2/keys/x?a=b HTTP/1.1\r\nHost:  a\t\r\nX-Y: \xfc \r\n"
        b"Content-Length: 3\r\nConnection: Close\r\nExpect: 100-continue\r\n\r\nabcdef"
    )
    assert (head.method, head.target, head.version) == ("PUT", "/v2/keys/x?a=b", "1.1")
    assert head.headers[:2] == (("host", "a"), ("x-y", "ü"))
    assert (head.keep_alive, head.expects_continue, body, ended) == (False, True, b"abc", True)


@pytest.mark.parametrize(
    ("line", "keep"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: x, close\r\n\r\n", False),
    ],
)
def test_keep_alive(line: bytes, keep: bool) -> None:
    assert parse(line)[0].keep_alive is keep


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET /\r\n\r\n", 400, id="no version"),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", 400, id="other version"),
        pytest.param(b"GET  / HTTP/1.1\r\n\r\n", 400, id="two spaces"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, id="space before colon"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", 400, id="folded line"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400, id="bare line feed"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", 400, id="nul"),
        pytest.param(
            POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            400,
            id="smuggling CL.TE",
        ),
        pytest.param(
            POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, id="two lengths"
        ),
        pytest.param(POST + b"Content-Length: +1\r\n\r\n", 400, id="signed length"),
        pytest.param(POST + b"Content-Length: 1, 1\r\n\r\n", 400, id="list of lengths"),
        pytest.param(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501, id="other coding"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n", 501, id="smuggling TE.TE"),
        pytest.param(
            b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="chunks in 1.0"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400, id="chunk size signed"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n1ffffffff\r\n", 400, id="chunk size huge"
        ),
        pytest.param(
            POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400, id="chunk too long"
        ),
        pytest.param(b"GET /" + b"a" * 20_000, 414, id="request line too long"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 20_000, 431, id="head too large"),
        pytest.param(
            b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 300 + b"\r\n", 431, id="too many fields"
        ),
    ],
)
def test_refused(data: bytes, status: int) -> None:
    with pytest.raises(HttpError) as caught:
        Parser(Limits()).feed(data)
    assert caught.value.status == status


@given(st.binary(max_size=80))
def test_any_bytes_parse_or_are_refused(data: bytes) -> None:
    with suppress(HttpError):
        Parser(Limits()).feed(b"POST / HTTP/1.1\r\nHost: a\r\n" + data)


def test_headers_that_may_not_travel() -> None:
    with pytest.raises(ValueError, match="may not travel"):
        header_fields((("location", "a\r\nset-cookie: b"),))


# --- the session


async def serve(request: HttpRequest) -> HttpResponse:
    if request.path == "/stream":
        return HttpResponse(200, (), numbers())
    if request.path == "/crash":
        raise RuntimeError("defect")
    if request.path == "/none":
        return HttpResponse(204)
    body = await request.body.read()
    text = f"{request.method} {request.path} {request.query} {len(body)}"
    return HttpResponse(200, (("X-A", "b"),), text.encode())


async def numbers() -> AsyncIterator[bytes]:
    for n in range(3):
        yield b"%d" % n


class Line:
    """An HTTP/1.1 session with a real loop, and no socket."""

    def __init__(self, limits: Limits | None = None) -> None:
        loop = asyncio.get_running_loop()
        self.dispatcher = Dispatcher(loop, MethodTable(()), serve, limits)
        self.session = Http1Session(self.dispatcher, Peer("test:1"), lambda: None, 0.0)

    async def ask(self, *pieces: bytes) -> bytes:
        for piece in pieces:
            self.session.receive(piece, 0.0)
        for _ in range(20):
            await asyncio.sleep(0)
        return self.session.take()


def run(coro: Coroutine[Any, Any, bytes]) -> bytes:
    return asyncio.run(coro)


def split(answer: bytes) -> tuple[str, set[str], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *fields = head.decode().split("\r\n")
    return first, {f for f in fields if not f.startswith("date:")}, body


@pytest.mark.parametrize(
    ("request_bytes", "status", "fields", "body"),
    [
        pytest.param(
            GET, "HTTP/1.1 200 OK", {"x-a: b", "content-length: 14"}, b"GET /health  0", id="get"
        ),
        pytest.param(
            GET.replace(b"GET", b"HEAD"),
            "HTTP/1.1 200 OK",
            {"x-a: b", "content-length: 15"},
            b"",
            id="head",
        ),
        pytest.param(
            POST.replace(b"/", b"/a%20b?c=%20", 1) + b"Content-Length: 5\r\n\r\n12345",
            "HTTP/1.1 200 OK",
            {"x-a: b", "content-length: 17"},
            b"POST /a b c=%20 5",
            id="post",
        ),
        pytest.param(
            b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 200 OK",
            {"transfer-encoding: chunked"},
            b"1\r\n0\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n",
            id="stream",
        ),
        pytest.param(
            b"GET /stream HTTP/1.0\r\n\r\n",
            "HTTP/1.1 200 OK",
            {"connection: close"},
            b"012",
            id="stream to HTTP/1.0",
        ),
        pytest.param(
            b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 204 No Content",
            set(),
            b"",
            id="204",
        ),
        pytest.param(
            b"GET /crash HTTP/1.1\r\nHost: a\r\n\r\n",
            "HTTP/1.1 500 Internal Server Error",
            {
                "content-type: text/plain; charset=utf-8",
                "x-content-type-options: nosniff",
                "content-length: 15",
                "connection: close",
            },
            b"internal error\n",
            id="handler with a defect",
        ),
    ],
)
def test_answers(request_bytes: bytes, status: str, fields: set[str], body: bytes) -> None:
    async def talk() -> bytes:
        return await Line().ask(request_bytes)

    assert split(run(talk())) == (status, fields, body)


def test_pipelined_requests_are_answered_in_order() -> None:
    async def talk() -> bytes:
        one = POST + b"Content-Length: 1\r\n\r\nx"
        return await Line().ask(GET + one + GET[:10], GET[10:])

    assert [part[-3:] for part in run(talk()).split(b"HTTP/1.1 200 OK")[1:]] == [
        b"  0",
        b"  1",
        b"  0",
    ]


def test_expect_continue() -> None:
    async def talk() -> bytes:
        line = Line()
        first = await line.ask(POST + b"Content-Length: 1\r\nExpect: 100-continue\r\n\r\n")
        assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
        return await line.ask(b"x")

    assert run(talk()).startswith(b"HTTP/1.1 200 OK")


def test_body_above_the_limit() -> None:
    async def talk() -> bytes:
        line = Line(Limits(message=20_000))
        answer = await line.ask(POST + b"Content-Length: 30000\r\n\r\n", b"x" * 25_000)
        assert line.session.finished()
        return answer

    assert run(talk()).startswith(b"HTTP/1.1 413 ")


def test_refusal_is_answered_and_closes() -> None:
    async def talk() -> bytes:
        line = Line()
        answer = await line.ask(b"nonsense\r\n\r\n")
        assert line.session.finished()
        return answer

    assert run(talk()).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_reading_stops_while_requests_wait() -> None:
    async def talk() -> bytes:
        line = Line()
        line.session.receive(GET + b"x" * 300_000, 0.0)
        assert not line.session.reading()
        return b""

    run(talk())


def test_drain_closes_after_the_request() -> None:
    async def talk() -> bytes:
        line = Line()
        line.session.receive(GET, 0.0)
        line.session.drain()
        assert not line.session.finished()
        answer = await line.ask()
        assert line.session.finished()
        return answer

    assert b"connection: close" in run(talk())


def test_idle_connections_are_overdue() -> None:
    async def talk() -> bytes:
        session = Line().session
        assert not session.overdue(300.0)
        assert session.overdue(300.5)
        return b""

    run(talk())
