"""What must never happen, checked as the run goes on.

Election safety: one leader per term. Log matching: index and term name one entry and one
predecessor, everywhere and forever. Leader completeness: whoever leads a term has what
leaders of earlier terms committed. State machine safety: every node applies the same entry
at an index. Reads: an answer covers whatever any client had been told before it asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from services.etcd.raft.model import Entry
from services.etcd.raft.node import Node


class SafetyError(AssertionError):
    """A promise was broken."""


class Oracle:
    """Sees everything that hosts do, across crashes."""

    def __init__(self) -> None:
        self._leaders: dict[int, int] = {}
        self._entries: dict[tuple[int, int], tuple[int, Entry]] = {}
        self._applied: dict[int, Entry] = {}
        self._commits: dict[int, tuple[int, int]] = {}
        self._led: tuple[int, int] = (0, 0)
        self.highest_applied = 0
        self.checks = 0

    def wrote(self, before_term: int, entries: Sequence[Entry]) -> None:
        """A node wrote `entries`, the first of which follows an entry of `before_term`."""
        previous = before_term
        for entry in entries:
            key = (entry.index, entry.term)
            known = self._entries.setdefault(key, (previous, entry))
            if known != (previous, entry):
                raise SafetyError(f"log matching: {known} and {(previous, entry)}")
            previous = entry.term
        for left, right in pairwise(entries):
            if right.index != left.index + 1 or right.term < left.term:
                raise SafetyError(f"log order: {left} before {right}")

    def leads(self, node: Node) -> None:
        """`node` is leader at this moment."""
        term, commit = node.hard_state.term, node.hard_state.commit
        if self._leaders.setdefault(term, node.id) != node.id:
            raise SafetyError(f"election safety: {node.id} and {self._leaders[term]} lead {term}")
        if term not in self._commits:
            self._complete(node, term)
            self._commits[term] = (0, 0)
        if commit > self._commits[term][0]:
            self._commits[term] = (commit, node.term_at(commit) or 0)
        self.checks += 1

    def _complete(self, node: Node, term: int) -> None:
        for earlier, (index, entry_term) in self._commits.items():
            if earlier >= term or index <= node.hard_state.commit:
                continue
            if node.term_at(index) != entry_term:
                raise SafetyError(f"leader completeness: {node.id} in {term} lacks {index}")

    def applied(self, node: int, entry: Entry) -> None:
        """A node applied `entry`."""
        known = self._applied.setdefault(entry.index, entry)
        if known != entry:
            raise SafetyError(f"state machine safety: {node} applies {entry}, not {known}")
        if entry.index > self.highest_applied:
            self.highest_applied = entry.index
        self.checks += 1

    def read(self, node: int, asked_at: int, index: int) -> None:
        """A read asked when `asked_at` was applied somewhere is answered at `index`."""
        if index < asked_at:
            raise SafetyError(f"stale read: {node} reads at {index}, {asked_at} was known")
        self.checks += 1
