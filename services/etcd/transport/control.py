"""Control frames, windows towards the peer, allowances and the drain of a connection.

Everything here is about the connection as a whole; requests and their bodies are the
business of `connection`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from services.etcd.transport import frames
from services.etcd.transport.allowance import Allowance
from services.etcd.transport.errors import ConnectionFault, ErrorCode, StreamFault
from services.etcd.transport.grants import Grants
from services.etcd.transport.limits import Limits
from services.etcd.transport.outbound import LONGEST_FRAME, Outbound
from services.etcd.transport.pings import PingPolicy
from services.etcd.transport.streams import REMOTE_OPEN, Stream

_GRACEFUL = b"graceful"
_KEEPALIVE = b"keepaliv"
_USEFUL = 4
"""Control frames allowed per request, and per DATA frame that this side sent."""


class Control(Outbound):
    """A connection but for its requests."""

    def __init__(self, limits: Limits, wake: Callable[[], None], now: float) -> None:
        super().__init__(limits, wake)
        self.now = now
        """The time of the last `receive`."""
        self.buffered = 0
        """Bytes of unfinished messages, kept by the streams."""
        self.draining = False
        self._grants = Grants(limits.inbound_grants)
        self._pings = PingPolicy(limits.keepalive)
        self._settled = False
        self._accept_up_to = frames.MAX_STREAM_ID
        self._window = limits.connection_window
        self._resets = Allowance(limits.resets, limits.resets_rate, now)
        self._calm = Allowance(limits.control_frames, limits.control_rate, now)
        self._useful = 0
        self._pinged = now
        self._emit(self._greeting())

    # --- the drain

    def drain(self) -> None:
        """Ask the peer to open no more streams; those it has already sent are still served."""
        if not self.draining and not self.closed:
            self.draining = True
            self._emit(
                frames.goaway(frames.MAX_STREAM_ID, ErrorCode.NO_ERROR, b"graceful_stop")
                + frames.ping(_GRACEFUL)
            )

    def finish_drain(self) -> None:
        """The peer knows: streams newer than those seen are ignored from now on."""
        if self._accept_up_to == frames.MAX_STREAM_ID and not self.closed:
            self._accept_up_to = self.last_sid
            self._emit(frames.goaway(self.last_sid, ErrorCode.NO_ERROR, b"graceful_stop"))

    def finished(self) -> bool:
        """Whether the socket may close once everything taken is written."""
        drained = self._accept_up_to != frames.MAX_STREAM_ID and not self.streams
        return self.closed or (self.draining and drained)

    def reading(self) -> bool:
        """HTTP/2 has windows: more bytes are always wanted."""
        return True

    def overdue(self, now: float) -> bool:
        """Whether the peer is taken for dead; pings it first (any byte is a sign of life)."""
        policy = self.limits.keepalive
        if not policy.interval or self.closed:
            return False
        if self._pinged <= self.now:
            if now - self.now >= policy.interval:
                self._pinged = now
                self._emit(frames.ping(_KEEPALIVE))
            return False
        return now - self._pinged >= policy.timeout

    # --- windows towards the peer

    def consumed(self, stream: Stream, size: int) -> None:
        """The layer above is done with `size` bytes: the peer may send as many again."""
        if self._grants.holds(stream.sid):
            size -= self._release_grant(stream)
        stream.unread += size
        if stream.unread >= self.stream_window // 2 and stream.state & REMOTE_OPEN:
            self._grant(stream, stream.unread)
            stream.unread = 0

    def expect(self, stream: Stream, missing: int) -> None:
        """The message that is arriving lacks `missing` bytes: let them come."""
        short = missing - stream.recv_window
        if short > 0 and stream.state & REMOTE_OPEN and self._grants.ask(stream.sid, short):
            self._grant(stream, short)

    def hold(self, size: int) -> None:
        """Count bytes of unfinished messages, negative when they are done."""
        self.buffered += size
        if self.buffered > self.limits.inbound_buffer:
            self.fail(ErrorCode.ENHANCE_YOUR_CALM, "too much in unfinished messages")

    def _grant(self, stream: Stream, size: int) -> None:
        stream.recv_window += size
        self._emit(frames.window_update(stream.sid, size))

    def _release_grant(self, stream: Stream) -> int:
        size, turns = self._grants.release(stream.sid)
        for sid, wanted in turns:
            self._grant(self.streams[sid], wanted)
        return size

    def _drop(self, stream: Stream) -> None:
        super()._drop(stream)
        if self._grants.holds(stream.sid):
            self._release_grant(stream)

    # --- allowances

    def _spend_calm(self) -> None:
        """One more frame that carries no request."""
        useful = (self.last_sid >> 1) + self.data_frames
        earned = (useful - self._useful) * _USEFUL
        self._useful = useful
        if not self._calm.spend(self.now, earned):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many control frames")

    def _spend_reset(self) -> None:
        """One more stream that the peer cancelled or broke."""
        if not self._resets.spend(self.now):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too many streams reset")

    def _break_stream(self, fault: StreamFault) -> None:
        """Reset a stream that the peer broke; it counts as one the peer reset."""
        self._emit(frames.rst_stream(fault.sid, fault.code))
        self._forgiven.append(fault.sid)
        stream = self.streams.get(fault.sid)
        if stream is not None:
            self._drop(stream)
            stream.aborted(fault.code)
        self._spend_reset()

    def _check_used(self, sid: int, what: str) -> None:
        if not sid or sid > self.last_sid or not sid & 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, f"{what} on an idle stream")

    # --- control frames

    def _control_frame(self, kind: int, flags: int, sid: int, payload: bytes) -> None:
        self._spend_calm()
        handler = self._HANDLERS.get(kind)
        if handler is not None:
            handler(self, flags, sid, payload)

    def _on_settings(self, flags: int, sid: int, payload: bytes) -> None:
        if sid:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream")
        if flags & frames.ACK:
            if payload:
                raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS answer with a payload")
            return
        self._settled = True
        window = self.peer_window
        for key, value in frames.parse_settings(payload):
            if key == frames.HEADER_TABLE_SIZE:
                self._encoder.resize(value)
            elif key == frames.INITIAL_WINDOW_SIZE:
                window = value
            elif key == frames.MAX_FRAME_SIZE:
                self._peer_frame = min(value, LONGEST_FRAME)
        if window != self.peer_window:
            for _ in range(len(self.streams) >> 8):
                self._spend_calm()
            self._set_initial_window(window)
        self._emit(frames.SETTINGS_ACK)

    def _on_ping(self, flags: int, sid: int, payload: bytes) -> None:
        if sid:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PING on a stream")
        if len(payload) != 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PING is not eight bytes")
        if flags & frames.ACK:
            if payload == _GRACEFUL and self.draining:
                self.finish_drain()
            return
        answers = (self.last_sid >> 1) - len(self.streams) + self.data_frames
        if not self._pings.allows(self.now, bool(self.streams), answers):
            raise ConnectionFault(ErrorCode.ENHANCE_YOUR_CALM, "too_many_pings")
        self._emit(frames.ping(payload, ack=True))

    def _on_window_update(self, flags: int, sid: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is not four bytes")
        increment = int.from_bytes(payload, "big") & frames.MAX_WINDOW
        if sid == 0:
            if not increment:
                raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
            self._grow_connection(increment)
            return
        self._check_used(sid, "WINDOW_UPDATE")
        stream = self.streams.get(sid)
        if stream is None:
            return
        if not increment:
            raise StreamFault(sid, ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE of nothing")
        if not self._grow_stream(stream, increment):
            raise StreamFault(sid, ErrorCode.FLOW_CONTROL_ERROR, "window overflow")

    def _on_reset(self, flags: int, sid: int, payload: bytes) -> None:
        if len(payload) != 4:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is not four bytes")
        self._check_used(sid, "RST_STREAM")
        stream = self.streams.get(sid)
        if stream is None:
            return
        self._spend_reset()
        self._drop(stream)
        stream.aborted(int.from_bytes(payload, "big"))

    def _on_priority(self, flags: int, sid: int, payload: bytes) -> None:
        if not sid:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PRIORITY of the connection")
        if len(payload) != 5:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is not five bytes")

    def _on_goaway(self, flags: int, sid: int, payload: bytes) -> None:
        if sid:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream")
        if len(payload) < 8:
            raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY too short")

    def _on_push(self, flags: int, sid: int, payload: bytes) -> None:
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE from a client")

    _HANDLERS: ClassVar[dict[int, Callable[[Control, int, int, bytes], None]]] = {
        frames.PRIORITY: _on_priority,
        frames.RST_STREAM: _on_reset,
        frames.SETTINGS: _on_settings,
        frames.PUSH_PROMISE: _on_push,
        frames.PING: _on_ping,
        frames.GOAWAY: _on_goaway,
        frames.WINDOW_UPDATE: _on_window_update,
    }

    def _greeting(self) -> bytes:
        limits = self.limits
        return frames.settings(
            (
                (frames.MAX_CONCURRENT_STREAMS, limits.streams),
                (frames.INITIAL_WINDOW_SIZE, limits.stream_window),
                (frames.MAX_HEADER_LIST_SIZE, limits.header_list),
                (frames.HEADER_TABLE_SIZE, limits.header_table),
            )
        ) + frames.window_update(0, limits.connection_window - frames.DEFAULT_WINDOW)
