"""Linearizable reads without writing to the log.

A read may be served at the commit index of the moment it was asked, once it is certain that
no newer leader had committed more by then. Safe reads make certain by a round of heartbeats:
each round carries a number, nodes echo it, and a round that a quorum has echoed proves that
this leader still led when it was sent. One round serves all reads asked before it.

Lease reads use the same numbers: when a quorum echoed a round sent at tick t, none of them
takes part in an election before t + election timeout, so until then no round is needed.
A leadership transfer breaks this promise on purpose, so it voids the lease for the term.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from services.etcd.raft.model import Message
from services.etcd.raft.quorum import JointConfig

_ROUNDS_KEPT = 1024
"""Send times remembered while no quorum answers; without its time a round gives no lease."""


class PendingRead(NamedTuple):
    """A request that waits for its round to be echoed."""

    round: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which has no use here
    request: Message


class Reads:
    """Rounds sent, rounds echoed, and requests that wait. Belongs to one term of a leader."""

    __slots__ = (
        "_acks",
        "_confirmed",
        "_round",
        "_sent",
        "early",
        "lease_void",
        "waiting",
    )

    def __init__(self) -> None:
        self._round = 0
        self._confirmed = 0
        self._acks: dict[int, int] = {}
        self._sent: deque[tuple[int, int]] = deque(maxlen=_ROUNDS_KEPT)
        self.waiting: deque[PendingRead] = deque()
        self.early: list[Message] = []
        """Requests that came before the first commit of the term."""
        self.lease_void = False

    def add(self, index: int, request: Message) -> None:
        """Let `request` wait for the next round."""
        self.waiting.append(PendingRead(self._round + 1, index, request))

    def start_round(self, node: int, tick: int) -> bytes:
        """Begin a round at `tick` of leader `node`; returns the context to be echoed."""
        self._round += 1
        self._acks[node] = self._round
        self._sent.append((self._round, tick))
        return self._round.to_bytes(8, "little")

    def acknowledge(self, node: int, context: bytes) -> None:
        """Note that `node` echoed `context`; what is not a round number is ignored."""
        if len(context) == 8:
            echoed = min(int.from_bytes(context, "little"), self._round)
            self._acks[node] = max(self._acks.get(node, 0), echoed)

    def confirm(self, voters: JointConfig) -> list[PendingRead]:
        """Requests whose round a quorum has echoed, in the order they came."""
        confirmed = voters.committed_index(self._acks)
        if confirmed <= self._confirmed:
            return []
        self._confirmed = confirmed
        # The newest confirmed round stays: its send time is where the lease counts from.
        while len(self._sent) > 1 and self._sent[1][0] <= confirmed:
            self._sent.popleft()
        ready = []
        while self.waiting and self.waiting[0].round <= confirmed:
            ready.append(self.waiting.popleft())
        return ready

    def lease_start(self) -> int | None:
        """Tick at which the newest confirmed round was sent; None when there is no lease."""
        if self.lease_void or not self._sent or self._sent[0][0] > self._confirmed:
            return None
        return self._sent[0][1]
