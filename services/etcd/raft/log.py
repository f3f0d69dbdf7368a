"""The log of one node: the stable part in storage, the unstable part in memory.

Invariant: applied <= applying <= committed <= last index. `applying` is the index up to
which committed entries were handed to the host; `applied` the one it confirmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.etcd.raft.errors import InvariantError, StorageError
from services.etcd.raft.model import NO_LIMIT, Entry, Snapshot
from services.etcd.raft.sizes import entries_size, limit_size
from services.etcd.raft.storage import Storage
from services.etcd.raft.unstable import Unstable


class Log:
    """`max_applying` bounds the encoded bytes of entries handed out but not yet applied."""

    __slots__ = (
        "applied",
        "applying",
        "applying_paused",
        "applying_size",
        "committed",
        "max_applying",
        "storage",
        "unstable",
    )

    def __init__(self, storage: Storage, max_applying: int = NO_LIMIT) -> None:
        self.storage = storage
        self.max_applying = max_applying
        self.unstable = Unstable(storage.last_index() + 1)
        self.committed = self.applying = self.applied = storage.first_index() - 1
        self.applying_size = 0
        self.applying_paused = False

    # Positions

    def first_index(self) -> int:
        """Index of the first entry that can be read."""
        snapshot = self.unstable.snapshot
        return snapshot.index + 1 if snapshot else self.storage.first_index()

    def last_index(self) -> int:
        """Index of the last entry, stable or not."""
        last = self.unstable.last_index()
        return self.storage.last_index() if last is None else last

    def term(self, index: int) -> int | None:
        """Term at `index`; None when it was compacted or does not exist."""
        term = self.unstable.term(index)
        if term is not None:
            return term
        if not self.first_index() - 1 <= index <= self.last_index():
            return None
        try:
            return self.storage.term(index)
        except StorageError:
            return None

    def last_id(self) -> tuple[int, int]:
        """Term and index of the last entry; also the order of logs in elections.

        Raises InvariantError when storage does not know the term of its own last entry.
        """
        index = self.last_index()
        term = self.term(index)
        if term is None:
            raise InvariantError(f"storage does not know the term of its last entry {index}")
        return term, index

    def matches(self, index: int, term: int) -> bool:
        """Whether the entry at `index` is known and of `term`."""
        return self.term(index) == term

    def probe_conflict(self, index: int, term: int) -> tuple[int, int]:
        """The highest (index, term) at or below `index` whose term is not above `term`.

        The logs cannot be equal at any index between. Term 0 when it cannot be known.
        """
        while index > 0:
            ours = self.term(index)
            if ours is None or ours <= term:
                return index, ours or 0
            index -= 1
        return 0, 0

    # Reading

    def entries(self, low: int, max_size: int) -> Sequence[Entry] | None:
        """Entries from `low` to the end within `max_size`; None when they were compacted."""
        last = self.last_index()
        return self.slice(low, last + 1, max_size) if low <= last else ()

    def slice(self, low: int, high: int, max_size: int) -> Sequence[Entry] | None:
        """Entries from `low` up to but not including `high` within `max_size` encoded bytes.

        At least one entry if there is any; None when `low` was compacted. Raises
        InvariantError when `high` lies beyond the log.
        """
        offset = self.unstable.offset
        if low >= offset:
            return limit_size(self.unstable.slice(low, high), max_size)
        if low < self.first_index():
            return None
        if not low <= high <= self.last_index() + 1:
            raise InvariantError(f"slice [{low},{high}) out of bound [..{self.last_index()}]")
        cut = min(high, offset)
        try:
            stable = self.storage.entries(low, cut, max_size)
        except StorageError:
            return None
        if high <= offset or len(stable) < cut - low:
            return stable
        return self._extend(stable, high, max_size)

    def _extend(self, stable: Sequence[Entry], high: int, max_size: int) -> Sequence[Entry]:
        room = max_size if max_size >= NO_LIMIT else max_size - entries_size(stable)
        if room <= 0:
            return stable
        more = limit_size(self.unstable.slice(self.unstable.offset, high), room)
        if len(more) == 1 and room < NO_LIMIT and entries_size(more) > room:
            return stable
        return [*stable, *more]

    def scan(self, low: int, high: int, page: int) -> Iterator[Sequence[Entry]]:
        """The same entries page by page. Raises InvariantError when any is missing."""
        while low < high:
            entries = self.slice(low, high, page)
            if not entries:
                raise InvariantError(f"no entries in [{low},{high})")
            yield entries
            low += len(entries)

    # Writing

    def append(self, entries: Sequence[Entry]) -> None:
        """Add entries, replacing a conflicting tail. Raises InvariantError below the commit."""
        if not entries:
            return
        if entries[0].index <= self.committed:
            raise InvariantError(
                f"entry {entries[0].index} conflicts with committed entry {self.committed}"
            )
        self.unstable.append(entries)

    def accept_append(
        self, index: int, term: int, entries: Sequence[Entry], commit: int
    ) -> int | None:
        """Take a leader's `entries` that follow (`index`, `term`), and its commit index.

        Returns the last index now known to match the leader's, None when the logs differ at
        `index`. Raises InvariantError when a committed entry would change.
        """
        if not self.matches(index, term):
            return None
        last_new = index + len(entries)
        if entries:
            if entries[0].index <= self.last_index():
                entries = entries[self._first_new(entries) :]
            self.append(entries)
        self.commit_to(min(commit, last_new))
        return last_new

    def _first_new(self, entries: Sequence[Entry]) -> int:
        for at, entry in enumerate(entries):
            if not self.matches(entry.index, entry.term):
                return at
        return len(entries)

    def commit_to(self, index: int) -> None:
        """Raise the commit index. Raises InvariantError beyond the end of the log."""
        if self.committed < index:
            if self.last_index() < index:
                raise InvariantError(
                    f"commit index {index} is beyond the last entry {self.last_index()}",
                    "the log was corrupted, cut or lost; restore this node as a new member",
                )
            self.committed = index

    def maybe_commit(self, index: int, term: int) -> bool:
        """Commit up to `index` if its entry is of `term`; False when nothing changed."""
        if index > self.committed and term and self.matches(index, term):
            self.commit_to(index)
            return True
        return False

    def restore(self, snapshot: Snapshot) -> None:
        """Continue from a snapshot in place of everything held so far."""
        self.committed = snapshot.index
        self.unstable.restore(snapshot)

    # Applying

    def max_appliable(self, allow_unstable: bool) -> int:
        """The highest index that may be handed out."""
        return self.committed if allow_unstable else min(self.committed, self.unstable.offset - 1)

    def has_committed(self, allow_unstable: bool) -> bool:
        """Whether `next_committed` would return entries."""
        if self.applying_paused or self.unstable.snapshot:
            return False
        return self.applying < self.max_appliable(allow_unstable)

    def next_committed(self, allow_unstable: bool) -> tuple[Entry, ...]:
        """Committed entries to hand out next, within the bound. Raises InvariantError."""
        if not self.has_committed(allow_unstable):
            return ()
        room = NO_LIMIT
        if self.max_applying < NO_LIMIT:
            room = self.max_applying - self.applying_size
        entries = self.slice(self.applying + 1, self.max_appliable(allow_unstable) + 1, room)
        if entries is None:
            raise InvariantError(f"entry {self.applying + 1} was compacted before it was applied")
        return tuple(entries)

    def accept_applying(self, entries: Sequence[Entry], allow_unstable: bool) -> None:
        """Note that `entries` were handed out."""
        self.applying = entries[-1].index
        if self.max_applying < NO_LIMIT:
            # When the bound cut this batch, wait for it rather than hand out crumbs.
            self.applying_size += entries_size(entries)
            cut = self.applying < self.max_appliable(allow_unstable)
            self.applying_paused = cut or self.applying_size >= self.max_applying

    def applied_to(self, index: int, entries: Sequence[Entry] = ()) -> None:
        """Note that everything up to `index` is applied. Raises InvariantError."""
        if not self.applied <= index <= self.committed:
            raise InvariantError(
                f"applied({index}) is out of range [{self.applied}, {self.committed}]"
            )
        self.applied = index
        self.applying = max(self.applying, index)
        if self.max_applying < NO_LIMIT:
            self.applying_size = max(0, self.applying_size - entries_size(entries))
            self.applying_paused = self.applying_size >= self.max_applying
