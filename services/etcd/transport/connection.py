"""The receiving half of an HTTP/2 server connection (RFC 9113), without a socket.

`receive` takes bytes and the time, calls the hooks of the streams concerned, and leaves
output for `take`. A peer that breaks a rule, or one of `Limits`, gets a RST_STREAM or a
GOAWAY; no exception leaves this module. The loop in `_frames` is the hot path: a request
whose header block was seen before and whose body is one DATA frame costs two dictionary
look-ups there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from services.etcd.transport import frames
from services.etcd.transport.control import Control
from services.etcd.transport.errors import (
    ConnectionFault,
    ErrorCode,
    HeaderListTooLarge,
    HpackError,
    StreamFault,
)
from services.etcd.transport.frames import DATA, END_HEADERS, END_STREAM, HEADERS
from services.etcd.transport.head import MalformedHead, RequestHead, check_field, parse_head
from services.etcd.transport.hpack import Decoder
from services.etcd.transport.hpack_table import Field
from services.etcd.transport.limits import Limits
from services.etcd.transport.streams import LOCAL_OPEN, REMOTE_OPEN, Stream

_CACHED_BLOCK = 2048


class Connection(Control):
    """One peer. Subclasses say in `resolve` what becomes of a request."""

    VARYING: ClassVar[bytes] = b""
    """A field that may differ from request to request: heads are remembered without it."""

    def __init__(self, limits: Limits, wake: Callable[[], None], now: float) -> None:
        super().__init__(limits, wake, now)
        self.started = False
        """The preface is here."""
        self._decoder = Decoder(limits.header_list, limits.header_table)
        self._heads: dict[bytes, RequestHead] = {}
        self._known: dict[tuple[Field, ...], RequestHead] = {}
        self._tail = b""
        self._partial: tuple[int, int, bytearray] | None = None
        self._partial_frames = 0

    def resolve(self, head: RequestHead) -> None:
        """Set `make` (and `route`) of a new head."""
        raise NotImplementedError

    def vary(self, head: RequestHead, fields: tuple[Field, ...], value: bytes) -> RequestHead:
        """The head for `fields`, which are those of `head` and a `VARYING` field."""
        raise NotImplementedError

    # --- bytes in

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the peer at time `now` (seconds of any steady clock)."""
        if self.closed:
            return
        self.now = now
        buffer = self._tail + data if self._tail else data
        try:
            used = self._frames(buffer)
        except ConnectionFault as fault:
            self.fail(fault.code, fault.message)
            return
        self._tail = buffer[used:]
        if self._window < 0:
            self.fail(ErrorCode.FLOW_CONTROL_ERROR, "connection window overrun")
        elif self._window < self.limits.connection_window // 2:
            self._emit(frames.window_update(0, self.limits.connection_window - self._window))
            self._window = self.limits.connection_window

    def _frames(self, buffer: bytes) -> int:
        """Handle every whole frame; returns how many bytes those were."""
        size = len(buffer)
        at = 0
        if not self.started:
            at = self._preface(buffer)
            if not at:
                return 0
        unpack = frames.FRAME_HEADER.unpack_from
        streams, heads, room = self.streams, self._heads, self.limits.streams
        last_possible = frames.MAX_STREAM_ID
        while size - at >= 9:
            word, flags, sid = unpack(buffer, at)
            length = word >> 8
            start = at + 9
            at = start + length
            if length > frames.MIN_FRAME:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "frame longer than allowed")
            if at > size:
                return start - 9
            kind = word & 255
            if not self._detour:
                if kind == DATA and flags == END_STREAM and length:
                    stream = streams.get(sid)
                    if stream is not None and stream.state & REMOTE_OPEN:
                        missing = stream.missing
                        if length <= stream.recv_window and (missing < 0 or missing == length):
                            self._window -= length
                            stream.state &= LOCAL_OPEN
                            stream.received(buffer[start:at], True)
                            continue
                elif kind == HEADERS and flags == END_HEADERS and sid & 1:
                    head = heads.get(buffer[start:at])
                    if (
                        head is not None
                        and self.last_sid < sid <= last_possible
                        and len(streams) < room
                        and not self.queued
                        and not self.draining
                    ):
                        self.last_sid = sid
                        stream = streams[sid] = head.make(self, sid, head)
                        if stream.eager:
                            stream.opened(False)
                        continue
            if self.closed:
                break
            try:
                self._frame(kind, flags, sid & frames.MAX_STREAM_ID, buffer[start:at])
            except StreamFault as fault:
                self._break_stream(fault)
        return at

    def _preface(self, buffer: bytes) -> int:
        want = frames.PREFACE
        if buffer[: len(want)] == want:
            self.started = True
            return len(want)
        if not want.startswith(buffer[: len(want)]):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "not an HTTP/2 preface")
        return 0

    # --- frames off the hot path

    def _frame(self, kind: int, flags: int, sid: int, payload: bytes) -> None:
        if not self._settled and (kind != frames.SETTINGS or flags & frames.ACK):
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "first frame is not SETTINGS")
        if self._partial is not None and kind != frames.CONTINUATION:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "header block interrupted")
        if kind == HEADERS:
            self._on_headers(flags, sid, payload)
        elif kind == DATA:
            self._on_data(flags, sid, payload)
        elif kind == frames.CONTINUATION:
            self._on_continuation(flags, sid, payload)
        else:
            self._control_frame(kind, flags, sid, payload)

    def _on_data(self, flags: int, sid: int, payload: bytes) -> None:
        self._check_used(sid, "DATA")
        self._window -= len(payload)
        stream = self.streams.get(sid)
        body = frames.unpad(payload, flags)
        if not body and not flags & END_STREAM:
            self._spend_calm()
        if stream is None:
            if sid in self._forgiven or sid > self._accept_up_to:
                self._spend_calm()
                return
            raise StreamFault(sid, ErrorCode.STREAM_CLOSED, "DATA on a closed stream")
        if not stream.state & REMOTE_OPEN:
            raise StreamFault(sid, ErrorCode.STREAM_CLOSED, "DATA after the end of the request")
        stream.recv_window -= len(payload)
        ended = bool(flags & END_STREAM)
        if ended:
            stream.state &= LOCAL_OPEN
        if stream.recv_window < 0:
            raise StreamFault(sid, ErrorCode.FLOW_CONTROL_ERROR, "window overrun")
        if stream.missing >= 0 and not self._fits(stream, len(body)):
            raise StreamFault(sid, ErrorCode.PROTOCOL_ERROR, "content-length is wrong")
        if len(body) < len(payload):
            self.consumed(stream, len(payload) - len(body))
        stream.received(body, ended)

    @staticmethod
    def _fits(stream: Stream, length: int) -> bool:
        """Count a body against its content-length."""
        stream.missing -= length
        return stream.missing == 0 or (stream.missing > 0 and bool(stream.state & REMOTE_OPEN))

    def _on_headers(self, flags: int, sid: int, payload: bytes) -> None:
        if not sid & 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream not of a client")
        block = frames.unpad(payload, flags)
        if flags & frames.PRIORITISED:
            if len(block) < 5:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "HEADERS without its priority")
            block = block[5:]
        if not flags & END_HEADERS:
            self._partial = (sid, flags, bytearray(block))
            self._detour = True
            self._partial_frames = 0
            return
        self._on_block(flags, sid, block)

    def _on_continuation(self, flags: int, sid: int, payload: bytes) -> None:
        if self._partial is None or self._partial[0] != sid:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without its HEADERS")
        _, first, block = self._partial
        block += payload
        self._partial_frames += 1
        limits = self.limits
        if len(block) > limits.header_block or self._partial_frames > limits.continuations:
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "header block too long")
        if flags & END_HEADERS:
            self._partial = None
            self._detour = False
            self._on_block(first, sid, bytes(block))

    def _on_block(self, flags: int, sid: int, block: bytes) -> None:
        """A whole header block: decode it even when nobody wants it (the table moves on)."""
        fresh = sid > self.last_sid
        try:
            fields = self._decoder.decode(block)
        except HpackError as error:
            raise ConnectionFault(ErrorCode.COMPRESSION_ERROR, error.message) from None
        except HeaderListTooLarge as error:
            self._heads.clear()
            self.last_sid = max(sid, self.last_sid)
            raise StreamFault(sid, ErrorCode.ENHANCE_YOUR_CALM, error.message) from None
        if self._decoder.touched:
            self._heads.clear()
        if not fresh:
            self._on_trailers(flags, sid, fields)
            return
        try:
            head = self._head(fields)
        except MalformedHead as error:
            self.last_sid = sid
            raise StreamFault(sid, ErrorCode.PROTOCOL_ERROR, error.message) from None
        if not self._decoder.touched and len(block) <= _CACHED_BLOCK:
            if len(self._heads) >= self.limits.head_cache:
                self._heads.clear()
            self._heads[block] = head
        self._open(sid, head, flags & END_STREAM)

    def _head(self, fields: tuple[Field, ...]) -> RequestHead:
        """The head of these fields, from memory when they came before."""
        varying = self.VARYING
        value = None
        for name, text in fields:
            if name == varying:
                value = text
        key = fields if value is None else tuple([f for f in fields if f[0] != varying])
        head = self._known.get(key)
        if head is None:
            head = parse_head(key)
            self.resolve(head)
            if len(self._known) >= self.limits.head_cache:
                self._known.clear()
            self._known[key] = head
        return head if value is None else self.vary(head, fields, value)

    def _on_trailers(self, flags: int, sid: int, fields: tuple[Field, ...]) -> None:
        stream = self.streams.get(sid)
        if stream is None:
            if sid in self._forgiven or sid > self._accept_up_to:
                return
            raise ConnectionFault(ErrorCode.STREAM_CLOSED, "HEADERS on a closed stream")
        if not stream.state & REMOTE_OPEN:
            raise StreamFault(sid, ErrorCode.STREAM_CLOSED, "HEADERS after the request's end")
        if not flags & END_STREAM:
            raise StreamFault(sid, ErrorCode.PROTOCOL_ERROR, "trailers without the stream's end")
        try:
            for name, value in fields:
                check_field(name, value)
        except MalformedHead as error:
            raise StreamFault(sid, ErrorCode.PROTOCOL_ERROR, error.message) from None
        stream.state &= LOCAL_OPEN
        if stream.missing >= 0 and not self._fits(stream, 0):
            raise StreamFault(sid, ErrorCode.PROTOCOL_ERROR, "content-length is wrong")
        stream.received(b"", True)

    def _open(self, sid: int, head: RequestHead, ended: int) -> None:
        """A new stream."""
        if not sid & 1 or sid > frames.MAX_STREAM_ID:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "HEADERS on a stream not of a client")
        self.last_sid = sid
        if sid > self._accept_up_to:
            return
        limits = self.limits
        if len(self.streams) >= limits.streams or self.queued > limits.outbound_queue:
            self._break_stream(StreamFault(sid, ErrorCode.REFUSED_STREAM, "too many streams"))
            return
        stream = head.make(self, sid, head)
        self.streams[sid] = stream
        if not ended:
            if stream.eager:
                stream.opened(False)
            return
        stream.state &= LOCAL_OPEN
        if head.content_length > 0:
            fault = StreamFault(sid, ErrorCode.PROTOCOL_ERROR, "content-length is wrong")
            self._break_stream(fault)
        else:
            stream.opened(True)
