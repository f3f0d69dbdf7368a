"""The sending half of a connection: header blocks, flow control and queues (RFC 9113, 5.2).

Output collects in `_out` until the owner of the socket calls `take`; `wake` tells it once
that there is some. Data that a window or a slow socket holds back waits in the stream's
backlog; streams that could send take turns, one frame each.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable

from services.etcd.transport import frames
from services.etcd.transport.errors import ConnectionFault, ErrorCode
from services.etcd.transport.hpack import Encoder
from services.etcd.transport.hpack_table import Field
from services.etcd.transport.limits import Limits
from services.etcd.transport.streams import CLOSED, LOCAL_OPEN, REMOTE_OPEN, Backlog, Stream

REPLY_HEAD: tuple[Field, ...] = ((b":status", b"200"), (b"content-type", b"application/grpc"))
REPLY_TAIL: tuple[Field, ...] = ((b"grpc-status", b"0"),)
_INDEXED = frozenset((*REPLY_HEAD, *REPLY_TAIL))
LONGEST_FRAME = 1 << 16
"""Frames never get longer than this, whatever the peer allows: streams take turns."""
_FORGIVEN = 1000
"""Streams ended by this side, whose late frames are forgiven."""


class Outbound:
    """Everything this side sends, except the answers to control frames."""

    def __init__(self, limits: Limits, wake: Callable[[], None]) -> None:
        self.limits = limits
        self.streams: dict[int, Stream] = {}
        self.peer_window = frames.DEFAULT_WINDOW
        """Send window that new streams start with."""
        self.stream_window = limits.stream_window
        """Receive window that new streams start with."""
        self.send_window = frames.DEFAULT_WINDOW
        self.queued = 0
        """Bytes in all backlogs."""
        self.data_frames = 0
        """DATA frames sent from streams, a measure of useful work."""
        self.socket_ready = True
        self.last_sid = 0
        """Highest stream id that the peer has used."""
        self.closed = False
        """Nothing is read or sent any more, but what `take` still has."""
        self._detour = False
        """The receive loop has something to mind: a header block in parts, or the end."""
        self._peer_frame = frames.MIN_FRAME
        self._encoder = Encoder(_INDEXED)
        self._out: list[bytes | memoryview] = []
        self._pumped = 0
        self._forgiven: deque[int] = deque(maxlen=_FORGIVEN)
        self._ready: deque[Stream] = deque()
        self._wake = wake
        self._reply_version = -1
        self._reply_head = struct.Struct("")
        self._reply_tail = struct.Struct("")
        self._head_word = self._tail_word = 0
        self._head_block = self._tail_block = b""

    # --- for the owner of the socket

    def take(self) -> bytes:
        """All collected output; the caller writes it."""
        if self._ready and self.socket_ready:
            self._pump()
        data = b"".join(self._out)
        self._out.clear()
        self._pumped = 0
        if self._ready and self.socket_ready and self.send_window > 0:
            self._wake()
        return data

    def set_socket_ready(self, ready: bool) -> None:
        """The socket's buffer is full, or has room again."""
        self.socket_ready = ready
        if ready:
            if self._ready:
                self._wake()
            for stream in list(self.streams.values()):
                stream.writable()

    # --- for streams

    def send_unary(self, stream: Stream, payload: bytes) -> None:
        """The whole answer of a successful unary call: head, one message, status 0."""
        length = len(payload)
        size = length + 5
        if (
            size > self._peer_frame
            or size > self.send_window
            or size > stream.send_window
            or self._encoder.version != self._reply_version
            or stream.state != LOCAL_OPEN
            or not self.socket_ready
        ):
            self._send_unary_slowly(stream, payload)
            return
        self.send_window -= size
        stream.state = CLOSED
        sid = stream.sid
        del self.streams[sid]
        out = self._out
        if not out:
            self._wake()
        out.append(
            self._reply_head.pack(
                self._head_word, 4, sid, self._head_block, size << 8, 0, sid, 0, length
            )
        )
        out.append(payload)
        out.append(self._reply_tail.pack(self._tail_word, 5, sid, self._tail_block))

    def send_head(self, stream: Stream, fields: tuple[Field, ...], end: bool = False) -> None:
        """Response HEADERS, or trailers when no data is queued before them."""
        if not stream.state & LOCAL_OPEN:
            return
        if stream.pending is not None and stream.pending.items:
            stream.pending.items.append(fields)
            return
        block = self._encoder.encode(fields)
        self._emit(frames.header_frames(stream.sid, block, end, self._peer_frame))
        if end:
            self._finish(stream)

    def send_data(self, stream: Stream, payload: bytes, end: bool = False) -> None:
        """DATA, at once as far as the windows allow, later as far as they do not."""
        if not stream.state & LOCAL_OPEN:
            return
        size = len(payload)
        if stream.pending is None and self.socket_ready and size <= self._room(stream):
            self._emit_data(stream, payload, size, end)
            return
        self._queue(stream, payload, size, end)

    def reset(self, stream: Stream, code: ErrorCode) -> None:
        """End the stream from this side, whatever is queued."""
        if stream.state:
            self._emit(frames.rst_stream(stream.sid, code))
            self._drop(stream)

    def backlog(self, stream: Stream) -> int:
        """Bytes of the stream that wait for a window or for the socket."""
        return 0 if stream.pending is None else stream.pending.size

    # --- the end

    def fail(self, code: ErrorCode, message: str) -> None:
        """Close the connection with a GOAWAY that says why; streams are aborted."""
        if not self.closed:
            self._emit(frames.goaway(self.last_sid, code, message.encode()))
            self.abort(code)

    def abort(self, code: ErrorCode = ErrorCode.CANCEL) -> None:
        """The connection is over: tell every stream."""
        self.closed = True
        self._detour = True
        self._ready.clear()
        for stream in list(self.streams.values()):
            self._drop(stream)
            stream.aborted(code)

    # --- windows, as the peer changes them

    def _grow_connection(self, increment: int) -> None:
        self.send_window += increment
        if self.send_window > frames.MAX_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "connection window overflow")
        if self._ready:
            self._pump()

    def _grow_stream(self, stream: Stream, increment: int) -> bool:
        stream.send_window += increment
        if stream.send_window > frames.MAX_WINDOW:
            return False
        if stream.pending is not None:
            self._list(stream)
            self._pump()
        return True

    def _set_initial_window(self, value: int) -> None:
        delta = value - self.peer_window
        self.peer_window = value
        for stream in list(self.streams.values()):
            if not self._grow_stream(stream, delta):
                raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "stream window overflow")

    # --- inside

    def _emit(self, data: bytes) -> None:
        if not self._out:
            self._wake()
        self._out.append(data)

    def _room(self, stream: Stream) -> int:
        return min(self.send_window, stream.send_window, self._peer_frame)

    def _emit_data(self, stream: Stream, payload: bytes | memoryview, size: int, end: bool) -> None:
        self.send_window -= size
        stream.send_window -= size
        self.data_frames += 1
        self._emit(frames.FRAME_HEADER.pack(size << 8, frames.END_STREAM if end else 0, stream.sid))
        self._out.append(payload)
        if end:
            self._finish(stream)

    def _queue(self, stream: Stream, payload: bytes, size: int, end: bool) -> None:
        if stream.pending is None:
            stream.pending = Backlog()
        if size:
            stream.pending.items.append(memoryview(payload))
            stream.pending.size += size
            self.queued += size
        if end:
            stream.pending.items.append(None)
        if self.queued > self.limits.outbound_cap:
            self.fail(ErrorCode.ENHANCE_YOUR_CALM, "answers are not being read")
            return
        self._list(stream)
        self._pump()

    def _list(self, stream: Stream) -> None:
        backlog = stream.pending
        if backlog is not None and backlog.items and not backlog.listed:
            backlog.listed = True
            self._ready.append(stream)

    def _pump(self) -> None:
        """Send one frame per ready stream in turn, up to the bound on one write."""
        ready = self._ready
        while ready and self.socket_ready and self._pumped < self.limits.write_chunk:
            stream = ready.popleft()
            backlog = stream.pending
            if backlog is None or not stream.state & LOCAL_OPEN:
                continue
            if self.send_window <= 0 and isinstance(backlog.items[0], memoryview):
                ready.appendleft(stream)
                return
            self._pump_stream(stream, backlog)

    def _pump_stream(self, stream: Stream, backlog: Backlog) -> None:
        """One frame of data, and the end of the stream when it comes next."""
        items = backlog.items
        item = items[0]
        if isinstance(item, memoryview):
            size = min(len(item), self._room(stream))
            if size <= 0:
                backlog.listed = False
                return
            self._pumped += size
            self.queued -= size
            backlog.size -= size
            self._emit_data(stream, item[:size], size, False)
            if size < len(item):
                items[0] = item[size:]
            else:
                items.popleft()
            if backlog.size <= self.limits.stream_high_water // 2:
                stream.writable()
        if items and not isinstance(items[0], memoryview):
            self._end_backlog(stream, items[0])
        elif items:
            self._ready.append(stream)
        else:
            stream.pending = None

    def _end_backlog(self, stream: Stream, fields: tuple[Field, ...] | None) -> None:
        stream.pending = None
        if fields is None:
            self._emit_data(stream, b"", 0, True)
        else:
            self.send_head(stream, fields, end=True)

    def _finish(self, stream: Stream) -> None:
        """Both sides of the answer are out; a request still arriving is told to stop."""
        if stream.state & REMOTE_OPEN:
            self._emit(frames.rst_stream(stream.sid, ErrorCode.NO_ERROR))
        self._drop(stream)

    def _drop(self, stream: Stream) -> None:
        if stream.state & REMOTE_OPEN:
            self._forgiven.append(stream.sid)
        stream.state = CLOSED
        if stream.pending is not None:
            self.queued -= stream.pending.size
            stream.pending = None
        self.streams.pop(stream.sid, None)

    def _send_unary_slowly(self, stream: Stream, payload: bytes) -> None:
        self.send_head(stream, REPLY_HEAD)
        self.send_data(stream, b"\0" + len(payload).to_bytes(4, "big") + payload)
        self.send_head(stream, REPLY_TAIL, end=True)
        encoder = self._encoder
        if encoder.version != self._reply_version and encoder.settled((*REPLY_HEAD, *REPLY_TAIL)):
            self._remember_reply(encoder.encode(REPLY_HEAD), encoder.encode(REPLY_TAIL))

    def _remember_reply(self, head: bytes, tail: bytes) -> None:
        self._head_block, self._tail_block = head, tail
        self._head_word = len(head) << 8 | frames.HEADERS
        self._tail_word = len(tail) << 8 | frames.HEADERS
        self._reply_head = struct.Struct(f">IBI{len(head)}sIBIBI")
        self._reply_tail = struct.Struct(f">IBI{len(tail)}s")
        self._reply_version = self._encoder.version
