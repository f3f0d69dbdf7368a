"""Decisions of two sets of voters that must both agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.etcd.raft.quorum import majority
from services.etcd.raft.quorum.majority import VoteResult


@dataclass(frozen=True, slots=True)
class JointConfig:
    """Voters of the configuration coming in, and of the one going out.

    `outgoing` is empty except during a joint membership change.
    """

    incoming: frozenset[int] = frozenset()
    outgoing: frozenset[int] = frozenset()

    @property
    def ids(self) -> frozenset[int]:
        """Every voter of either half."""
        return self.incoming | self.outgoing

    @property
    def joint(self) -> bool:
        """Whether two majorities are needed."""
        return bool(self.outgoing)

    def committed_index(self, acked: Mapping[int, int]) -> int:
        """The highest index that a majority of each half acknowledged."""
        return min(
            majority.committed_index(self.incoming, acked),
            majority.committed_index(self.outgoing, acked),
        )

    def vote_result(self, votes: Mapping[int, bool]) -> VoteResult:
        """Won when both halves are won, lost when either is lost."""
        halves = {
            majority.vote_result(self.incoming, votes),
            majority.vote_result(self.outgoing, votes),
        }
        if len(halves) == 1:
            return halves.pop()
        return VoteResult.LOST if VoteResult.LOST in halves else VoteResult.PENDING

    def describe(self, acked: Mapping[int, int]) -> str:
        """The chart of `majority.describe` over all voters."""
        return majority.describe(self.ids, acked)

    def __str__(self) -> str:
        text = majority.format_ids(self.incoming)
        return f"{text}&&{majority.format_ids(self.outgoing)}" if self.outgoing else text
