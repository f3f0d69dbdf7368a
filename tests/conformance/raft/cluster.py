"""The cluster that traces act upon: nodes in memory, and messages in a list between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from services.etcd.raft import describe
from services.etcd.raft.confchange import change_of_entry
from services.etcd.raft.config import Config
from services.etcd.raft.errors import RaftError
from services.etcd.raft.model import (
    ConfState,
    Entry,
    EntryType,
    HardState,
    Message,
    MessageType,
    Snapshot,
    is_local_target,
)
from services.etcd.raft.node import Node
from services.etcd.raft.storage import MemoryStorage


class HistoryStorage(MemoryStorage):
    """Answers with the snapshot of what was applied last, whatever was saved."""

    def __init__(self) -> None:
        super().__init__()
        self.history: list[Snapshot] = []

    def snapshot(self) -> Snapshot:
        return self.history[-1]


@dataclass(slots=True)
class Member:
    """A node with its storage and the work of its two local threads."""

    node: Node
    storage: HistoryStorage
    config: Config
    append_work: list[Message] = field(default_factory=list)
    apply_work: list[Message] = field(default_factory=list)

    def save(
        self, state: HardState | None, entries: Sequence[Entry], snap: Snapshot | None
    ) -> None:
        """Write what a Ready asks for. Raises RaftError as the storage does."""
        if state:
            self.storage.set_hard_state(state)
        if snap:
            self.storage.apply_snapshot(snap)
        else:
            self.storage.append(entries)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Apply committed entries: the state machine is the concatenation of their data."""
        for entry in entries:
            last = self.storage.history[-1]
            update, state = entry.data, last.conf_state
            if entry.type is not EntryType.NORMAL:
                update, state = self._apply_change(entry)
            snap = Snapshot(last.data + update, state, entry.index, entry.term)
            self.storage.history.append(snap)

    def _apply_change(self, entry: Entry) -> tuple[bytes, ConfState]:
        change = change_of_entry(entry)
        assert change is not None
        return change.context, self.node.apply_conf_change(change)


class Cluster:
    """Everything prints into `output`, unless `quiet`."""

    def __init__(self) -> None:
        self.members: list[Member] = []
        self.messages: list[Message] = []
        self.quiet = False
        self.output: list[str] = []

    def write(self, text: str) -> None:
        """Print text as lines."""
        if not self.quiet:
            self.output.extend(text.splitlines())

    @contextmanager
    def indented(self) -> Iterator[None]:
        """Print what happens inside two columns further right."""
        outer, self.output = self.output, []
        try:
            yield
        finally:
            self.output = outer + ["  " + line for line in self.output]

    def member(self, number: int) -> Member:
        """The member with this number, counted from 1."""
        return self.members[number - 1]

    def add(self, config: Config, snapshot: Snapshot) -> None:
        """Create a member that starts from `snapshot`. Raises RaftError."""
        storage = HistoryStorage()
        if snapshot:
            snapshot = replace(snapshot, term=1)
            storage.apply_snapshot(snapshot)
        storage.history.append(snapshot)
        config = replace(config, id=len(self.members) + 1, storage=storage)
        self.members.append(Member(Node(config), storage, config))

    def process_ready(self, number: int) -> None:
        """Do what the member's Ready says. Raises RaftError."""
        member = self.member(number)
        node, threads = member.node, member.config.async_storage_writes
        ready = node.ready()
        self.write(describe.ready(ready))
        if not threads:
            member.save(ready.hard_state, ready.entries, ready.snapshot)
            member.apply(ready.committed_entries)
        for message in ready.messages:
            if message.type is MessageType.STORAGE_APPEND:
                member.append_work.append(message)
            elif message.type is MessageType.STORAGE_APPLY:
                member.apply_work.append(message)
            else:
                self.messages.append(message)
        if not threads:
            node.advance()

    def process_append(self, number: int) -> None:
        """Carry out one write of the member's append thread. Raises RaftError."""
        member = self.member(number)
        if not member.append_work:
            self.write("no append work to perform")
            return
        m = member.append_work.pop(0)
        self._processing(m)
        member.save(HardState(m.term, m.vote, m.commit), m.entries, m.snapshot)
        self._respond(m)

    def process_apply(self, number: int) -> None:
        """Carry out one batch of the member's apply thread. Raises RaftError."""
        member = self.member(number)
        if not member.apply_work:
            self.write("no apply work to perform")
            return
        m = member.apply_work.pop(0)
        self._processing(m)
        member.apply(m.entries)
        self._respond(m)

    def _processing(self, m: Message) -> None:
        self.write("Processing:\n" + describe.message(replace(m, responses=())))

    def _respond(self, m: Message) -> None:
        self.write("\n".join(["Responses:", *map(describe.message, m.responses)]))
        self.messages.extend(m.responses)

    def deliver(self, to: int, kind: MessageType | None = None, *, drop: bool = False) -> int:
        """Deliver or drop the messages to a member, all or those of a kind; how many."""
        taken = [m for m in self.messages if _is_for(m, to, kind, drop)]
        self.messages = [m for m in self.messages if not _is_for(m, to, kind, drop)]
        for m in taken:
            self.write(("dropped: " if drop else "") + describe.message(m))
            if not drop:
                self._step(m)
        return len(taken)

    def _step(self, m: Message) -> None:
        try:
            self.member(m.to).node.step(m)
        except RaftError as error:
            self.write(error.message)

    def stabilize(self, numbers: Sequence[int]) -> None:
        """Let members work until none has anything left to do. Raises RaftError."""
        while True:
            work = [
                self._each(numbers, "handling Ready", self._has_ready, self.process_ready),
                self._each(numbers, "receiving messages", self._has_mail, self.deliver),
                self._each(numbers, "processing append thread", self._has_append, self._appends),
                self._each(numbers, "processing apply thread", self._has_apply, self._applies),
            ]
            if not any(work):
                return

    def _each(
        self,
        numbers: Sequence[int],
        title: str,
        has_work: Callable[[int], bool],
        do: Callable[[int], object],
    ) -> bool:
        done = False
        for number in numbers:
            if has_work(number):
                self.write(f"> {number} {title}")
                with self.indented():
                    do(number)
                done = True
        return done

    def _has_ready(self, number: int) -> bool:
        return self.member(number).node.has_ready()

    def _has_mail(self, number: int) -> bool:
        return any(m.to == number for m in self.messages)

    def _has_append(self, number: int) -> bool:
        return bool(self.member(number).append_work)

    def _has_apply(self, number: int) -> bool:
        return bool(self.member(number).apply_work)

    def _appends(self, number: int) -> None:
        while self._has_append(number):
            self.process_append(number)

    def _applies(self, number: int) -> None:
        while self._has_apply(number):
            self.process_apply(number)


def _is_for(m: Message, to: int, kind: MessageType | None, drop: bool) -> bool:
    local = m.sender == m.to or is_local_target(m.sender) or is_local_target(m.to)
    return m.to == to and not (drop and local) and (kind is None or m.type is kind)
