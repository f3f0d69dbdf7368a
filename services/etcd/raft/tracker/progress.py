"""Replication to one node, seen by the leader.

Probe: where the logs meet is unknown; at most one append goes out per heartbeat.
Replicate: appends stream ahead of the answers, within the window of `Inflights`.
Snapshot: the entries needed are gone; nothing is appended until the snapshot has arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from services.etcd.raft.errors import InvariantError
from services.etcd.raft.tracker.inflights import Inflights


class ProgressState(IntEnum):
    """How the leader talks to a node at present."""

    PROBE = 0
    REPLICATE = 1
    SNAPSHOT = 2

    @property
    def text(self) -> str:
        return "State" + self.name.capitalize()


@dataclass(slots=True)
class Progress:
    """Invariant: 0 <= match < next.

    `match` is the highest index known to be equal there; entries between it and `next` are
    under way. `sent_commit` is the highest commit index under way. `paused` stops appends
    until a heartbeat is answered. `pending_snapshot` is the index of the snapshot under way.
    `recent_active` is cleared every election timeout and set by any answer.
    """

    next: int
    inflights: Inflights
    match: int = 0
    state: ProgressState = ProgressState.PROBE
    sent_commit: int = 0
    pending_snapshot: int = 0
    recent_active: bool = False
    paused: bool = False
    is_learner: bool = False

    def restart(self, next_index: int, match: int = 0) -> None:
        """Forget what earlier terms taught; the role as learner stays."""
        self._enter(ProgressState.PROBE)
        self.next, self.match = next_index, match
        self.sent_commit = 0
        self.recent_active = False

    def become_probe(self) -> None:
        """Probe from behind the match, or from behind the snapshot that just went out."""
        pending = self.pending_snapshot if self.state is ProgressState.SNAPSHOT else 0
        self._enter(ProgressState.PROBE)
        self.next = max(self.match, pending) + 1
        self.sent_commit = min(self.sent_commit, self.next - 1)

    def become_replicate(self) -> None:
        """Stream from behind the match."""
        self._enter(ProgressState.REPLICATE)
        self.next = self.match + 1

    def become_snapshot(self, index: int) -> None:
        """Wait for the snapshot taken at `index`."""
        self._enter(ProgressState.SNAPSHOT)
        self.pending_snapshot = self.sent_commit = index
        self.next = index + 1

    def _enter(self, state: ProgressState) -> None:
        self.state = state
        self.paused = False
        self.pending_snapshot = 0
        self.inflights.reset()

    def sent_entries(self, count: int, size: int) -> None:
        """Note an append of `count` entries from `next` on, `size` payload bytes together.

        Raises InvariantError in the snapshot state.
        """
        if self.state is ProgressState.REPLICATE:
            if count:
                self.next += count
                self.inflights.add(self.next - 1, size)
            self.paused = self.inflights.full()
        elif self.state is ProgressState.PROBE:
            self.paused = self.paused or count > 0
        else:
            raise InvariantError(f"sending append in unhandled state {self.state.text}")

    def can_bump_commit(self, commit: int) -> bool:
        """Whether sending `commit` could move the node's commit index at all."""
        return self.sent_commit < commit and self.sent_commit < self.next - 1

    def acknowledge(self, index: int) -> bool:
        """Take an acknowledgement up to `index`; False when it tells nothing new."""
        if index <= self.match:
            return False
        self.match = index
        self.next = max(self.next, index + 1)
        self.paused = False
        return True

    def retreat(self, rejected: int, hint: int) -> bool:
        """Take a rejection of the append at `rejected`; False when it is out of date.

        `hint` is the highest index at which the logs may still be equal.
        """
        if self.state is ProgressState.REPLICATE:
            if rejected <= self.match:
                return False
            self.next = self.match + 1
        else:
            # A probe has one append under way, so a rejection of any other is an old one.
            if self.next - 1 != rejected:
                return False
            self.next = max(min(rejected, hint + 1), self.match + 1)
            self.paused = False
        self.sent_commit = min(self.sent_commit, self.next - 1)
        return True

    @property
    def is_paused(self) -> bool:
        """Whether appends must wait."""
        return self.paused or self.state is ProgressState.SNAPSHOT

    def __str__(self) -> str:
        words = [self.state.text, f"match={self.match}", f"next={self.next}"]
        words += ["learner"] * self.is_learner + ["paused"] * self.is_paused
        if self.pending_snapshot:
            words.append(f"pendingSnap={self.pending_snapshot}")
        words += ["inactive"] * (not self.recent_active)
        if len(self.inflights):
            full = "[full]" if self.inflights.full() else ""
            words.append(f"inflight={len(self.inflights)}{full}")
        return " ".join(words)


def format_progress(progress: Mapping[int, Progress]) -> str:
    """One line per node, in ascending order."""
    return "".join(f"{node}: {progress[node]}\n" for node in sorted(progress))
