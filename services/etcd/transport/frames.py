"""HTTP/2 frames (RFC 9113 sections 4 and 6): the numbers, and builders that return bytes.

Parsing happens in `connection`, which reads headers straight from the receive buffer; a
frame header is three big-endian values there: `length << 8 | kind`, flags and stream id.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import Final

from services.etcd.transport.errors import ConnectionFault, ErrorCode

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA: Final = 0x0
HEADERS: Final = 0x1
PRIORITY: Final = 0x2
RST_STREAM: Final = 0x3
SETTINGS: Final = 0x4
PUSH_PROMISE: Final = 0x5
PING: Final = 0x6
GOAWAY: Final = 0x7
WINDOW_UPDATE: Final = 0x8
CONTINUATION: Final = 0x9

END_STREAM: Final = 0x1
ACK: Final = 0x1
END_HEADERS: Final = 0x4
PADDED: Final = 0x8
PRIORITISED: Final = 0x20

HEADER_TABLE_SIZE: Final = 0x1
ENABLE_PUSH: Final = 0x2
MAX_CONCURRENT_STREAMS: Final = 0x3
INITIAL_WINDOW_SIZE: Final = 0x4
MAX_FRAME_SIZE: Final = 0x5
MAX_HEADER_LIST_SIZE: Final = 0x6

DEFAULT_WINDOW: Final = 65_535
MAX_WINDOW: Final = (1 << 31) - 1
MIN_FRAME: Final = 16_384
"""Smallest value of MAX_FRAME_SIZE, and the one this server keeps."""
MAX_FRAME: Final = (1 << 24) - 1
MAX_STREAM_ID: Final = (1 << 31) - 1

FRAME_HEADER: Final = struct.Struct(">IBI")
_U32: Final = struct.Struct(">I")
_SETTING: Final = struct.Struct(">HI")
_GOAWAY: Final = struct.Struct(">II")

SETTINGS_ACK: Final = FRAME_HEADER.pack(SETTINGS, ACK, 0)


def frame(kind: int, flags: int, sid: int, payload: bytes = b"") -> bytes:
    """One whole frame."""
    return FRAME_HEADER.pack(len(payload) << 8 | kind, flags, sid) + payload


def settings(values: Iterable[tuple[int, int]]) -> bytes:
    """A SETTINGS frame with these (identifier, value) pairs."""
    return frame(SETTINGS, 0, 0, b"".join(_SETTING.pack(k, v) for k, v in values))


def window_update(sid: int, increment: int) -> bytes:
    """A WINDOW_UPDATE for a stream, or for the connection when `sid` is 0."""
    return FRAME_HEADER.pack(4 << 8 | WINDOW_UPDATE, 0, sid) + _U32.pack(increment)


def rst_stream(sid: int, code: int) -> bytes:
    """A RST_STREAM."""
    return FRAME_HEADER.pack(4 << 8 | RST_STREAM, 0, sid) + _U32.pack(code)


def ping(payload: bytes, ack: bool = False) -> bytes:
    """A PING or its answer; `payload` has eight bytes."""
    return frame(PING, ACK if ack else 0, 0, payload)


def goaway(last_sid: int, code: int, debug: bytes = b"") -> bytes:
    """A GOAWAY."""
    return frame(GOAWAY, 0, 0, _GOAWAY.pack(last_sid, code) + debug)


def header_frames(sid: int, block: bytes, end_stream: bool, max_frame: int) -> bytes:
    """HEADERS, and CONTINUATION frames when the block is longer than a frame may be."""
    flags = END_STREAM if end_stream else 0
    if len(block) <= max_frame:
        return frame(HEADERS, flags | END_HEADERS, sid, block)
    out = [frame(HEADERS, flags, sid, block[:max_frame])]
    for at in range(max_frame, len(block), max_frame):
        last = END_HEADERS if at + max_frame >= len(block) else 0
        out.append(frame(CONTINUATION, last, sid, block[at : at + max_frame]))
    return b"".join(out)


def parse_settings(payload: bytes) -> Iterator[tuple[int, int]]:
    """The (identifier, value) pairs of a SETTINGS payload, checked.

    Raises ConnectionFault: a wrong length, or a value out of its range (6.5.2).
    """
    if len(payload) % 6:
        raise ConnectionFault(ErrorCode.FRAME_SIZE_ERROR, "SETTINGS length is not whole")
    for key, value in _SETTING.iter_unpack(payload):
        if key == ENABLE_PUSH and value > 1:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "ENABLE_PUSH is not 0 or 1")
        if key == INITIAL_WINDOW_SIZE and value > MAX_WINDOW:
            raise ConnectionFault(ErrorCode.FLOW_CONTROL_ERROR, "INITIAL_WINDOW_SIZE too large")
        if key == MAX_FRAME_SIZE and not MIN_FRAME <= value <= MAX_FRAME:
            raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "MAX_FRAME_SIZE out of range")
        yield key, value


def unpad(payload: bytes, flags: int) -> bytes:
    """The payload of a DATA or HEADERS frame without its padding.

    Raises ConnectionFault: the padding is as long as the frame or longer (6.1).
    """
    if not flags & PADDED:
        return payload
    if not payload or payload[0] >= len(payload):
        raise ConnectionFault(ErrorCode.PROTOCOL_ERROR, "padding longer than the frame")
    return payload[1 : len(payload) - payload[0]]
