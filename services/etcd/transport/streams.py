"""One HTTP/2 stream: its state, its windows, and the hooks by which it hears of events.

The layer above subclasses `Stream`; the connection creates one per request through
`RequestHead.make` and calls the hooks. Nothing here knows of sockets or of gRPC.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar, Final

from services.etcd.transport.hpack_table import Field

if TYPE_CHECKING:
    from services.etcd.transport.head import RequestHead

REMOTE_OPEN: Final = 1
LOCAL_OPEN: Final = 2
OPEN: Final = REMOTE_OPEN | LOCAL_OPEN
CLOSED: Final = 0

Item = memoryview | tuple[Field, ...] | None
"""Queued output: data, the fields of trailers, or the end of the stream without any."""


class Backlog:
    """Output of one stream that its window, or the connection's, holds back."""

    __slots__ = ("items", "listed", "size")

    def __init__(self) -> None:
        self.items: deque[Item] = deque()
        self.size = 0
        """Bytes of data in `items`."""
        self.listed = False
        """Whether the connection has the stream in its round of ready ones."""


class Stream:
    """A request and its answer. `connection` is typed by the subclass that knows it."""

    __slots__ = (
        "connection",
        "head",
        "missing",
        "pending",
        "recv_window",
        "send_window",
        "sid",
        "state",
        "unread",
    )

    eager: ClassVar[bool] = False
    """Whether `opened` is to be called before the request's end is known."""

    def __init__(self, connection: Any, sid: int, head: RequestHead) -> None:
        self.connection = connection
        self.sid = sid
        self.head = head
        self.send_window: int = connection.peer_window
        self.recv_window: int = connection.stream_window
        self.missing = head.content_length
        """Bytes of the announced body that are still to come; below 0 when not announced."""
        self.state = OPEN
        self.pending: Backlog | None = None
        self.unread = 0
        """Bytes consumed for which the peer has not been given window back."""

    def opened(self, ended: bool) -> None:
        """The head is here. Called when `eager`, or when the request has no body."""

    def received(self, payload: bytes, ended: bool) -> None:
        """Some of the body is here (possibly nothing, when `ended`)."""

    def aborted(self, code: int) -> None:
        """The peer, a fault or the loss of the connection ended the stream."""

    def writable(self) -> None:
        """Queued output went out: a waiting writer may go on."""
