"""The leader's book: configuration, progress of every node, votes of the election."""

from __future__ import annotations

from collections.abc import Mapping

from services.etcd.raft.quorum import INFINITY, VoteResult
from services.etcd.raft.quorum.majority import majority_rank
from services.etcd.raft.tracker.config import TrackerConfig
from services.etcd.raft.tracker.inflights import Inflights
from services.etcd.raft.tracker.progress import Progress


class ProgressTracker:
    """Progress is kept on every node, but is only meaningful on the leader."""

    __slots__ = (
        "_halves",
        "config",
        "max_inflight",
        "max_inflight_bytes",
        "progress",
        "votes",
    )

    def __init__(self, max_inflight: int, max_inflight_bytes: int = 0) -> None:
        self.max_inflight = max_inflight
        self.max_inflight_bytes = max_inflight_bytes
        self.votes: dict[int, bool] = {}
        self.config = TrackerConfig()
        self.progress: dict[int, Progress] = {}
        self._halves: tuple[tuple[Progress, ...], ...] = ()

    def switch(self, config: TrackerConfig, progress: Mapping[int, Progress]) -> None:
        """Put a new configuration in force."""
        self.config = config
        self.progress = {node: progress[node] for node in sorted(progress)}
        halves = (config.voters.incoming, config.voters.outgoing)
        # The commit index is asked for at each acknowledgement: keep the voters at hand.
        self._halves = tuple(tuple(self.progress[node] for node in half) for half in halves if half)

    def new_inflights(self) -> Inflights:
        """An empty window of the configured size."""
        return Inflights(self.max_inflight, self.max_inflight_bytes)

    def committed(self) -> int:
        """The highest index that the voters have, by majority of each half."""
        ranks = [majority_rank([pr.match for pr in half]) for half in self._halves]
        return min(ranks, default=INFINITY)

    def quorum_active(self) -> bool:
        """Whether a quorum has been heard of since `recent_active` was cleared."""
        votes = {n: pr.recent_active for n, pr in self.progress.items() if not pr.is_learner}
        return self.config.voters.vote_result(votes) is VoteResult.WON

    def reset_votes(self) -> None:
        """Start a new count."""
        self.votes = {}

    def record_vote(self, node: int, granted: bool) -> None:
        """Note a vote; the first one of a node counts."""
        self.votes.setdefault(node, granted)

    def tally(self) -> tuple[int, int, VoteResult]:
        """Votes granted, votes refused (those of voters only) and what they decide."""
        cast = [
            self.votes[node]
            for node, pr in self.progress.items()
            if node in self.votes and not pr.is_learner
        ]
        granted = sum(cast)
        return granted, len(cast) - granted, self.config.voters.vote_result(self.votes)
