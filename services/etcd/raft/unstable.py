"""The part of the log, and the snapshot, that storage may not hold yet.

Entries stay here from the moment they are appended until the host reports them stable: first
as new, then as in progress once they were handed out for writing. `entries[i]` has index
`offset + i`; `offset` may lie below the end of the stable log, whose tail is then to be
overwritten.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.etcd.raft.errors import InvariantError
from services.etcd.raft.model import Entry, Snapshot


class Unstable:
    """See the module. `in_progress` is the index behind the last entry handed out."""

    __slots__ = ("entries", "in_progress", "offset", "snapshot", "snapshot_in_progress")

    def __init__(self, offset: int) -> None:
        self.entries: list[Entry] = []
        self.offset = offset
        self.in_progress = offset
        self.snapshot: Snapshot | None = None
        self.snapshot_in_progress = False

    def last_index(self) -> int | None:
        """Index of the last entry or of the snapshot; None when there is neither."""
        if self.entries:
            return self.offset + len(self.entries) - 1
        return self.snapshot.index if self.snapshot else None

    def term(self, index: int) -> int | None:
        """Term of an entry held here or of the snapshot; None for any other index."""
        at = index - self.offset
        if at < 0:
            snapshot = self.snapshot
            return snapshot.term if snapshot and snapshot.index == index else None
        return self.entries[at].term if at < len(self.entries) else None

    def has_next(self) -> bool:
        """Whether entries wait to be handed out."""
        return self.in_progress < self.offset + len(self.entries)

    def next_entries(self) -> tuple[Entry, ...]:
        """Entries that were not handed out yet."""
        return tuple(self.entries[self.in_progress - self.offset :])

    def next_snapshot(self) -> Snapshot | None:
        """The snapshot if it was not handed out yet."""
        return None if self.snapshot_in_progress else self.snapshot

    def accept(self) -> None:
        """Mark everything as handed out."""
        if self.entries:
            self.in_progress = self.offset + len(self.entries)
        if self.snapshot:
            self.snapshot_in_progress = True

    def stable_to(self, index: int, term: int) -> bool:
        """Drop entries up to `index`, which storage now holds; False if they were replaced.

        Only to be called when no write under way can overwrite them again.
        """
        if index < self.offset or self.term(index) != term:
            return False
        del self.entries[: index + 1 - self.offset]
        self.offset = index + 1
        self.in_progress = max(self.in_progress, self.offset)
        return True

    def stable_snapshot_to(self, index: int) -> None:
        """Drop the snapshot if it is the one at `index`."""
        if self.snapshot and self.snapshot.index == index:
            self.snapshot = None
            self.snapshot_in_progress = False

    def restore(self, snapshot: Snapshot) -> None:
        """Start anew behind a snapshot."""
        self.entries = []
        self.offset = self.in_progress = snapshot.index + 1
        self.snapshot, self.snapshot_in_progress = snapshot, False

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries, replacing those at the same or a higher index."""
        first = entries[0].index
        if first <= self.offset:
            self.entries, self.offset = list(entries), first
            self.in_progress = min(self.in_progress, first)
            return
        keep = first - self.offset
        if keep < len(self.entries):
            del self.entries[keep:]
            self.in_progress = min(self.in_progress, first)
        self.entries.extend(entries)

    def slice(self, low: int, high: int) -> list[Entry]:
        """Entries from `low` up to but not including `high`. Raises InvariantError."""
        offset = self.offset
        if not offset <= low <= high <= offset + len(self.entries):
            end = offset + len(self.entries)
            raise InvariantError(f"unstable slice [{low},{high}) out of bound [{offset},{end}]")
        return self.entries[low - offset : high - offset]
