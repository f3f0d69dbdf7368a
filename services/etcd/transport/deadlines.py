"""Deadlines of calls, cheap to set and to forget: buckets of 20 ms instead of a timer each."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.etcd.transport.calls import Call

RESOLUTION = 0.02
"""Seconds by which a deadline may be late."""


class Deadlines:
    """Calls with a deadline, in buckets by time."""

    __slots__ = ("_buckets",)

    def __init__(self) -> None:
        self._buckets: dict[int, dict[Call, None]] = {}

    def __bool__(self) -> bool:
        return bool(self._buckets)

    def add(self, call: Call, at: float) -> None:
        """Remember `call`, whose deadline is `at`."""
        bucket = int(at / RESOLUTION) + 1
        calls = self._buckets.get(bucket)
        if calls is None:
            calls = self._buckets[bucket] = {}
        calls[call] = None

    def discard(self, call: Call, at: float) -> None:
        """Forget a call that was added with `at`, if it is still here."""
        calls = self._buckets.get(int(at / RESOLUTION) + 1)
        if calls is not None:
            calls.pop(call, None)
            if not calls:
                del self._buckets[int(at / RESOLUTION) + 1]

    def expired(self, now: float) -> list[Call]:
        """Take out the calls whose deadline is over at `now`."""
        last = int(now / RESOLUTION)
        due = sorted(bucket for bucket in self._buckets if bucket <= last)
        return [call for bucket in due for call in self._buckets.pop(bucket)]
