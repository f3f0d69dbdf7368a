"""A token bucket: how much of something a peer may do at once, and how fast that returns."""

from __future__ import annotations


class Allowance:
    """`burst` tokens at first, `rate` more per second, never above `burst`."""

    __slots__ = ("_at", "_burst", "_rate", "left")

    def __init__(self, burst: int, rate: float, now: float) -> None:
        self._burst = burst
        self._rate = rate
        self._at = now
        self.left: float = burst

    def spend(self, now: float, earned: float = 0.0) -> bool:
        """Take one token; `earned` adds some first, for useful work since the last call.

        Returns False when there was none: the peer is flooding.
        """
        if self.left < self._burst:
            gain = max(0.0, now - self._at) * self._rate + earned
            self.left = min(float(self._burst), self.left + gain)
        self._at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True
