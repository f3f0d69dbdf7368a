"""The keepalive policy towards clients: how often they may ping (gRPC's A8).

A client that pings too often collects strikes; an answer sent to it clears them, since a
client may well ping to measure the path of the data it receives.
"""

from __future__ import annotations

from services.etcd.transport.limits import Keepalive


class PingPolicy:
    """Judges the pings of one connection."""

    __slots__ = ("_keepalive", "_last", "_seen_frames", "_strikes")

    def __init__(self, keepalive: Keepalive) -> None:
        self._keepalive = keepalive
        self._last = float("-inf")
        self._seen_frames = 0
        self._strikes = 0

    def allows(self, now: float, has_streams: bool, answers: int) -> bool:
        """Judge a ping; `answers` counts what was sent to the client so far.

        Returns False when the connection is to end with `too_many_pings`.
        """
        policy = self._keepalive
        since, self._last = now - self._last, now
        if answers != self._seen_frames:
            self._seen_frames = answers
            self._strikes = 0
            return True
        busy = has_streams or policy.permit_without_stream
        if since < (policy.min_time if busy else policy.idle_min_time):
            self._strikes += 1
        return self._strikes <= policy.strikes
