"""What can go wrong on the wire, and who hears of it.

Three audiences, one small tree: `ConnectionFault` ends the whole connection with a GOAWAY,
`StreamFault` ends one stream with a RST_STREAM, and `GrpcError` is an answer that the
caller of a method sees as a status. Configuration mistakes are `TransportError` itself.
"""

from __future__ import annotations

from enum import IntEnum


class ErrorCode(IntEnum):
    """HTTP/2 error codes (RFC 9113 section 7)."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Status(IntEnum):
    """gRPC status codes."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class TransportError(Exception):
    """Root of the transport's errors: a message, and a hint that may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConnectionFault(TransportError):
    """The peer broke a rule that leaves the connection unusable: send GOAWAY and close."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class StreamFault(TransportError):
    """The peer broke a rule on one stream: send RST_STREAM, keep the connection."""

    def __init__(self, sid: int, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.sid = sid
        self.code = code


class HpackError(TransportError):
    """A header block that cannot be decoded: a COMPRESSION_ERROR of the connection."""


class HeaderListTooLarge(TransportError):
    """A header list above the limit. The decoder's table is in step, so one stream fails."""


class HttpError(TransportError):
    """An HTTP/1.1 message that is refused with `status`, after which the connection closes."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class GrpcError(TransportError):
    """The answer to a call that failed. `metadata` travels in the trailers."""

    def __init__(
        self,
        status: Status,
        message: str = "",
        metadata: tuple[tuple[str, str | bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.metadata = metadata


class CallEnded(TransportError):
    """Raised into a handler that reads or writes a call which is over (cancelled, timed out)."""
