"""Windows for messages longer than a stream's initial window.

A long message announces its length, and its stream then gets window for exactly the rest,
out of a budget per connection; when that is spent, streams wait in order of asking. Small
messages need none of this, and a peer cannot make the server hold more than the budget plus
an initial window per stream.
"""

from __future__ import annotations

from collections import deque


class Grants:
    """Who holds how much of the budget, by stream id."""

    __slots__ = ("_budget", "_held", "_used", "_waiting")

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._held: dict[int, int] = {}
        self._used = 0
        self._waiting: deque[tuple[int, int]] = deque()

    def ask(self, sid: int, size: int) -> bool:
        """Take `size` for a stream now, or put it in the queue and return False."""
        if sid in self._held:
            return False
        self._held[sid] = 0
        if self._waiting or not self._fits(size):
            self._waiting.append((sid, size))
            return False
        self._give(sid, size)
        return True

    def release(self, sid: int) -> tuple[int, list[tuple[int, int]]]:
        """A stream's message is whole, or the stream is gone.

        Returns what it had been given, and the (stream, size) pairs whose turn it is now.
        """
        size = self._held.pop(sid, 0)
        self._used -= size
        turns: list[tuple[int, int]] = []
        while self._waiting:
            next_sid, wanted = self._waiting[0]
            if next_sid in self._held:
                if not self._fits(wanted):
                    break
                self._give(next_sid, wanted)
                turns.append((next_sid, wanted))
            self._waiting.popleft()
        return size, turns

    def holds(self, sid: int) -> bool:
        """Whether the stream has, or waits for, a grant."""
        return sid in self._held

    def _fits(self, size: int) -> bool:
        return self._used == 0 or self._used + size <= self._budget

    def _give(self, sid: int, size: int) -> None:
        self._held[sid] = size
        self._used += size
