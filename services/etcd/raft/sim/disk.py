"""The disk of a host: writes wait, become durable in order, or are lost in a crash."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from services.etcd.raft.model import Entry, HardState, Snapshot
from services.etcd.raft.storage import MemoryStorage


@dataclass(frozen=True, slots=True)
class Write:
    """What one Ready, or one STORAGE_APPEND message, asks to be written."""

    entries: Sequence[Entry]
    state: HardState | None
    snapshot: Snapshot | None
    sync: bool


class FreshStorage(MemoryStorage):
    """Hands out snapshots of this moment, as hosts must: an old one may lack a new member."""

    def __init__(self) -> None:
        super().__init__()
        self.take: Callable[[], Snapshot] = self.saved

    def saved(self) -> Snapshot:
        """The snapshot on disk."""
        return super().snapshot()

    def snapshot(self) -> Snapshot:
        return self.take()


class Disk:
    """`storage` is what the node reads; after `crash` it is what survived."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.storage = FreshStorage()
        if snapshot:
            self.storage.apply_snapshot(snapshot)
        self._waiting: deque[Write] = deque()
        self._unsynced: HardState | None = None

    def submit(self, write: Write) -> None:
        """Queue a write."""
        self._waiting.append(write)

    def complete(self) -> Write:
        """Carry out the oldest write; it is durable now if it was to be synced."""
        write = self._waiting.popleft()
        self._carry_out(write)
        return write

    def _carry_out(self, write: Write) -> None:
        if write.snapshot:
            self.storage.apply_snapshot(write.snapshot)
        self.storage.append(write.entries)
        self._unsynced = write.state or self._unsynced
        if write.sync:
            self._sync()

    def _sync(self) -> None:
        if self._unsynced:
            self.storage.set_hard_state(self._unsynced)
            self._unsynced = None

    def crash(self, random: Random) -> None:
        """Lose what waits, except that some of it may have reached the platter."""
        if random.random() < 0.5:
            self._sync()
        self._unsynced = None
        for _ in range(random.randrange(len(self._waiting) + 1)):
            self._carry_out(self._waiting.popleft())
            self._sync()
        if self._waiting and not self._waiting[0].snapshot:
            torn = self._waiting[0].entries
            self.storage.append(torn[: random.randrange(len(torn) + 1)])
        self._waiting.clear()
