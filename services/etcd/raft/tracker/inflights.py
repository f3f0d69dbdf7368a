"""A window over append messages that were sent and not yet acknowledged."""

from __future__ import annotations

from collections import deque

from services.etcd.raft.errors import InvariantError


class Inflights:
    """Bounds messages under way by number and by payload bytes.

    `max_bytes` of 0 means no byte limit. The byte limit is soft: the message that crosses it
    is still taken, and the window is full from then on.
    """

    __slots__ = ("_bytes", "_max_bytes", "_size", "_window")

    def __init__(self, size: int, max_bytes: int = 0) -> None:
        self._size = size
        self._max_bytes = max_bytes
        self._bytes = 0
        self._window: deque[tuple[int, int]] = deque()

    def add(self, index: int, size: int) -> None:
        """Note a message whose last entry is `index`; indexes never go down.

        Raises InvariantError when the window is full.
        """
        if self.full():
            raise InvariantError("cannot add into a Full inflights")
        self._window.append((index, size))
        self._bytes += size

    def free_to(self, index: int) -> None:
        """Forget every message whose last entry is at or below `index`."""
        window = self._window
        while window and window[0][0] <= index:
            self._bytes -= window.popleft()[1]

    def full(self) -> bool:
        """Whether nothing more may be sent."""
        return len(self._window) >= self._size or 0 < self._max_bytes <= self._bytes

    def reset(self) -> None:
        """Forget everything."""
        self._window.clear()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._window)

    @property
    def bytes(self) -> int:
        """Payload bytes under way."""
        return self._bytes
