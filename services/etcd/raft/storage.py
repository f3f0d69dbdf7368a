"""Where the core reads what is already stable.

The host writes; the core only reads. `MemoryStorage` keeps the tail of the log in memory and
is what hosts put in front of their write-ahead log, so that no read of the core touches disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.etcd.raft.errors import (
    CompactedError,
    InvariantError,
    SnapshotOutOfDateError,
    UnavailableError,
)
from services.etcd.raft.model import ConfState, Entry, HardState, Snapshot
from services.etcd.raft.sizes import limit_size


class Storage(Protocol):
    """Stable log, snapshot and state of one node."""

    def initial_state(self) -> tuple[HardState, ConfState]:
        """What was saved before the start."""

    def first_index(self) -> int:
        """Index of the first entry kept; the one before it is known by its term only."""

    def last_index(self) -> int:
        """Index of the last entry, that of the snapshot when there is none."""

    def term(self, index: int) -> int:
        """Term of an entry from `first_index() - 1` to `last_index()`.

        Raises CompactedError before this range, UnavailableError behind it.
        """

    def entries(self, low: int, high: int, max_size: int) -> Sequence[Entry]:
        """Entries from `low` up to but not including `high`, as `sizes.limit_size` cuts them.

        Raises CompactedError when `low` is before the first index.
        """

    def snapshot(self) -> Snapshot:
        """A snapshot for a node that lags behind the log.

        It must hold every membership change that is applied, or a node added lately would
        find that it is no member. Raises SnapshotUnavailableError while one is being made.
        """


class MemoryStorage:
    """A storage in memory. `_entries[i]` has index `_before + 1 + i`."""

    def __init__(self) -> None:
        self._hard_state = HardState()
        self._snapshot = Snapshot()
        self._before = 0
        self._before_term = 0
        self._entries: list[Entry] = []

    def initial_state(self) -> tuple[HardState, ConfState]:
        return self._hard_state, self._snapshot.conf_state

    def first_index(self) -> int:
        return self._before + 1

    def last_index(self) -> int:
        return self._before + len(self._entries)

    def term(self, index: int) -> int:
        at = index - self._before
        if at < 0:
            raise CompactedError
        if at > len(self._entries):
            raise UnavailableError
        return self._entries[at - 1].term if at else self._before_term

    def entries(self, low: int, high: int, max_size: int) -> Sequence[Entry]:
        if low <= self._before:
            raise CompactedError
        if high > self.last_index() + 1:
            raise InvariantError(f"entries up to {high} asked, last is {self.last_index()}")
        start = self._before + 1
        return limit_size(self._entries[low - start : high - start], max_size)

    def snapshot(self) -> Snapshot:
        return self._snapshot

    def set_hard_state(self, state: HardState) -> None:
        """Save term, vote and commit index."""
        self._hard_state = state

    def apply_snapshot(self, snapshot: Snapshot) -> None:
        """Replace the log by a snapshot. Raises SnapshotOutOfDateError for an older one."""
        if 0 < snapshot.index <= self._snapshot.index:
            raise SnapshotOutOfDateError
        self._snapshot = snapshot
        self._before, self._before_term = snapshot.index, snapshot.term
        self._entries = []

    def create_snapshot(self, index: int, conf_state: ConfState, data: bytes) -> Snapshot:
        """Take a snapshot at `index`; the log stays. Raises SnapshotOutOfDateError."""
        if index <= self._snapshot.index:
            raise SnapshotOutOfDateError
        self._snapshot = Snapshot(data, conf_state, index, self.term(index))
        return self._snapshot

    def compact(self, index: int) -> None:
        """Drop entries up to and including `index`.

        Raises CompactedError when they are gone, InvariantError when they never were.
        """
        if index <= self._before:
            raise CompactedError
        if index > self.last_index():
            raise InvariantError(f"compact {index} is out of bound lastindex({self.last_index()})")
        self._before_term = self.term(index)
        del self._entries[: index - self._before]
        self._before = index

    def append(self, entries: Sequence[Entry]) -> None:
        """Write entries, replacing those at the same or a higher index.

        Raises InvariantError when this would leave a gap.
        """
        if not entries:
            return
        at = entries[0].index - self._before - 1
        if at > len(self._entries):
            raise InvariantError(
                f"missing log entry [last: {self.last_index()}, append at: {entries[0].index}]"
            )
        if at < 0:
            entries, at = entries[-at:], 0
            if not entries:
                return
        if at < len(self._entries):
            del self._entries[at:]
        self._entries.extend(entries)
