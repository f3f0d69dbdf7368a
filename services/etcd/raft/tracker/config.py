"""The membership in force, as the leader and the followers hold it in memory."""

from __future__ import annotations

from dataclasses import dataclass

from services.etcd.raft.model import ConfState
from services.etcd.raft.quorum import JointConfig
from services.etcd.raft.quorum.majority import format_ids


@dataclass(frozen=True, slots=True)
class TrackerConfig:
    """Voters and learners.

    `learners_next` are voters of the outgoing half that become learners once it is left;
    until then they must vote. `auto_leave` asks the leader to leave a joint configuration by
    itself. Nobody is a voter and a learner at once.
    """

    voters: JointConfig = JointConfig()
    auto_leave: bool = False
    learners: frozenset[int] = frozenset()
    learners_next: frozenset[int] = frozenset()

    def conf_state(self) -> ConfState:
        """The form kept in snapshots."""
        return ConfState(
            voters=tuple(sorted(self.voters.incoming)),
            learners=tuple(sorted(self.learners)),
            voters_outgoing=tuple(sorted(self.voters.outgoing)),
            learners_next=tuple(sorted(self.learners_next)),
            auto_leave=self.auto_leave,
        )

    def __str__(self) -> str:
        words = [f"voters={self.voters}"]
        if self.learners:
            words.append(f"learners={format_ids(self.learners)}")
        if self.learners_next:
            words.append(f"learners_next={format_ids(self.learners_next)}")
        return " ".join(words + ["autoleave"] * self.auto_leave)
