"""One host: a node, its disk, its state machine, and the way it carries out Ready.

The state machine is a running digest of everything applied; a snapshot is that digest.
Work is only started here; `World` decides when it is done.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from random import Random
from zlib import crc32

from services.etcd.raft.confchange import change_of_entry
from services.etcd.raft.config import Config
from services.etcd.raft.errors import ProposalDroppedError, RaftError, StepPeerNotFoundError
from services.etcd.raft.model import (
    ConfState,
    Entry,
    HardState,
    Message,
    MessageType,
    Ready,
    Role,
    Snapshot,
)
from services.etcd.raft.node import Node
from services.etcd.raft.sim.disk import Disk, Write
from services.etcd.raft.sim.oracle import Oracle, SafetyError

Send = Callable[[Message], None]


def tolerate(error: RaftError) -> None:
    """Refusals are part of life; anything else is raised again."""
    if not isinstance(error, ProposalDroppedError | StepPeerNotFoundError):
        raise error


@dataclass(slots=True)
class _Machine:
    """What was applied so far."""

    index: int
    digest: int
    conf_state: ConfState


class Host:
    """`writing` and `applying` say that the disk or the state machine is at work."""

    def __init__(
        self, config: Config, snapshot: Snapshot, oracle: Oracle, random: Random, send: Send
    ) -> None:
        self.id = config.id
        self.disk = Disk(snapshot)
        self.up = False
        self._config = replace(config, storage=self.disk.storage)
        self._oracle, self._random, self._send = oracle, random, send
        self.disk.storage.take = self._take
        self.reads: dict[bytes, int] = {}
        self.silent_ticks = 0
        self.start()

    # Life

    def start(self) -> None:
        """Boot from what the disk holds."""
        snapshot = self.disk.storage.saved()
        self.node = Node(replace(self._config, applied=snapshot.index))
        self._restore(snapshot)
        self._ready: Ready | None = None
        self._appends: deque[Message] = deque()
        self._applies: deque[Message] = deque()
        self.reads.clear()
        self.up = True

    def crash(self) -> None:
        """Stop at once."""
        self.disk.crash(self._random)
        self.up = False

    @property
    def writing(self) -> bool:
        return self._ready is not None or bool(self._appends)

    @property
    def applying(self) -> bool:
        return bool(self._applies)

    @property
    def leads(self) -> bool:
        return self.up and self.node.soft_state.role is Role.LEADER

    @property
    def members(self) -> set[int]:
        """The applied configuration."""
        state = self._machine.conf_state
        return {*state.voters, *state.voters_outgoing, *state.learners}

    @property
    def machine(self) -> tuple[int, int]:
        """Index and digest of the state machine."""
        return self._machine.index, self._machine.digest

    # Work

    def pump(self) -> None:
        """Start the work that is ready."""
        if self.leads:
            self._oracle.leads(self.node)
        if self._config.async_storage_writes:
            while self.node.has_ready():
                self._start_async(self.node.ready())
        elif self._ready is None and self.node.has_ready():
            self._start(self.node.ready())

    def _start(self, ready: Ready) -> None:
        self._ready = ready
        sync = ready.must_sync or ready.snapshot is not None
        self.disk.submit(Write(ready.entries, ready.hard_state, ready.snapshot, sync))
        self._answer_reads(ready)

    def _start_async(self, ready: Ready) -> None:
        self._answer_reads(ready)
        for message in ready.messages:
            if message.type is MessageType.STORAGE_APPEND:
                state = HardState(message.term, message.vote, message.commit)
                sync = bool(message.responses)
                self.disk.submit(Write(message.entries, state, message.snapshot, sync))
                self._appends.append(message)
            elif message.type is MessageType.STORAGE_APPLY:
                self._applies.append(message)
            else:
                self._send(message)

    def _answer_reads(self, ready: Ready) -> None:
        for read in ready.read_states:
            asked_at = self.reads.pop(read.context, None)
            if asked_at is not None:
                self._oracle.read(self.id, asked_at, read.index)

    def written(self) -> None:
        """Everything that waited is written, under one sync."""
        ready, self._ready = self._ready, None
        if ready is not None:
            self._write()
            self._deliver(ready.messages)
            self._apply(ready.committed_entries)
            self.node.advance()
        for _ in range(len(self._appends)):
            self._write()
            self._deliver(self._appends.popleft().responses)

    def _write(self) -> None:
        write = self.disk.complete()
        if write.entries:
            before = self.disk.storage.term(write.entries[0].index - 1)
            self._oracle.wrote(before, write.entries)
        if write.snapshot:
            self._restore(write.snapshot)

    def applied(self) -> None:
        """The oldest batch is applied."""
        message = self._applies.popleft()
        self._apply(message.entries)
        self._deliver(message.responses)

    def _deliver(self, messages: Iterable[Message]) -> None:
        for message in messages:
            if message.to == self.id:
                self.receive(message)
            else:
                self._send(message)

    def receive(self, message: Message) -> None:
        """Step the node; refusals are noted nowhere."""
        try:
            self.node.step(message)
        except RaftError as error:
            tolerate(error)

    # State machine

    def _restore(self, snapshot: Snapshot) -> None:
        digest = int.from_bytes(snapshot.data, "big")
        self._machine = _Machine(snapshot.index, digest, snapshot.conf_state)

    def _apply(self, entries: Sequence[Entry]) -> None:
        machine = self._machine
        for entry in entries:
            if entry.index <= machine.index:
                continue  # a snapshot came in between
            if entry.index != machine.index + 1:
                raise SafetyError(f"{self.id} applies {entry.index} after {machine.index}")
            self._oracle.applied(self.id, entry)
            machine.index = entry.index
            machine.digest = crc32(entry.data, machine.digest)
            change = change_of_entry(entry)
            if change is not None:
                machine.conf_state = self.node.apply_conf_change(change, entry.index)

    def _take(self) -> Snapshot:
        machine = self._machine
        term = self.disk.storage.term(machine.index)
        data = machine.digest.to_bytes(4, "big")
        return Snapshot(data, machine.conf_state, machine.index, term)

    def compact(self, keep: int) -> None:
        """Save a snapshot of what is applied and drop the log up to `keep` entries before."""
        storage, machine = self.disk.storage, self._machine
        if machine.index <= storage.saved().index:
            return
        storage.set_hard_state(self._durable_commit(machine.index))
        taken = self._take()
        storage.create_snapshot(taken.index, taken.conf_state, taken.data)
        if machine.index - keep >= storage.first_index():
            storage.compact(machine.index - keep)

    def _durable_commit(self, index: int) -> HardState:
        """The saved hard state, with a commit index that covers a snapshot at `index`."""
        state, _ = self.disk.storage.initial_state()
        return replace(state, commit=max(state.commit, index))
