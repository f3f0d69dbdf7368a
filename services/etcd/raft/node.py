"""The front of the core: what a host calls.

The host's duties, in this order and from one thread:

1. Feed it: `tick` at even intervals, `step` for every message from other nodes, `propose`.
2. When `has_ready()`, take `ready()` and do what it says (see `model.Ready`): write and sync
   before sending messages, apply committed entries in order, and for each membership entry
   call `apply_conf_change` before the next one is applied. A snapshot and the hard state
   that comes with it must become durable together, and entries before a hard state that
   commits them.
3. Then `advance()`, and from the top.

With `async_storage_writes` there is no `advance`. Messages in `ready()` to APPEND_THREAD and
APPLY_THREAD are to be carried out in order, each thread by itself, and their `responses`
delivered once done: to other nodes by the network, to this node by `step`. Entries are then
handed out for applying only when they are stable here.

Tell it about the network: `report_unreachable` when a message was lost for certain,
`report_snapshot` when a snapshot went through or failed.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.etcd.raft import membership
from services.etcd.raft.confchange import ConfChange, ConfChangeV2
from services.etcd.raft.config import Config
from services.etcd.raft.core import Raft
from services.etcd.raft.errors import (
    InvariantError,
    StepLocalError,
    StepPeerNotFoundError,
)
from services.etcd.raft.model import (
    APPEND_THREAD,
    APPLY_THREAD,
    LOCAL_TYPES,
    RESPONSE_TYPES,
    ConfState,
    Entry,
    EntryType,
    HardState,
    Message,
    MessageType,
    Ready,
    Snapshot,
    SoftState,
    is_local_target,
    normal_entries,
)
from services.etcd.raft.status import Status, status_of


class Node:
    """One member of a raft group. Not thread-safe.

    Any method may raise InvariantError when the host or the storage broke the contract; the
    node must then be stopped.
    """

    __slots__ = ("_advance_steps", "_async", "_hard", "_raft", "_soft")

    def __init__(self, config: Config) -> None:
        self._raft = Raft(config)
        self._async = config.async_storage_writes
        self._soft = self._raft.soft_state()
        self._hard = self._raft.hard_state()
        self._advance_steps: list[Message] = []

    # Input

    def tick(self) -> None:
        """Let one tick pass."""
        self._raft.tick()

    def step(self, message: Message) -> None:
        """Take a message from another node or from a local thread.

        Raises StepLocalError for what may not come over the network, StepPeerNotFoundError
        for answers of strangers, ProposalDroppedError for forwarded proposals not taken.
        """
        if not is_local_target(message.sender):
            if message.type in LOCAL_TYPES:
                raise StepLocalError
            known = message.sender in self._raft.tracker.progress
            if message.type in RESPONSE_TYPES and not known:
                raise StepPeerNotFoundError
        self._raft.step(message)

    def propose(self, *data: bytes) -> None:
        """Propose entries, appended together and in order.

        Raises ProposalDroppedError when no leader is known, leadership is being transferred,
        or too much is uncommitted; then none of them was taken.
        """
        self._propose(normal_entries(0, 0, data))

    def propose_conf_change(self, change: ConfChange | ConfChangeV2) -> None:
        """Propose a membership change. Raises ProposalDroppedError like `propose`.

        A change that is taken may still be refused by the leader: then an empty entry comes
        out in its place.
        """
        self._propose([Entry(0, 0, *change.entry())])

    def _propose(self, entries: list[Entry]) -> None:
        raft = self._raft
        raft.step(Message(MessageType.PROP, sender=raft.id, entries=entries))

    def apply_conf_change(self, change: ConfChange | ConfChangeV2, index: int = 0) -> ConfState:
        """Put a committed change in force; returns what to store with the next snapshot.

        `index` is that of its entry: when a snapshot taken since holds the change already,
        nothing happens. Raises ConfChangeError when it does not fit the configuration.
        """
        if 0 < index <= self._raft.restored_index:
            return self.conf_state
        return membership.apply_change(self._raft, change.as_v2())

    def read_index(self, context: bytes) -> None:
        """Ask for a linearizable read; `ready().read_states` answers with `context`.

        May be lost, like any message; ask again after a while, with another context.
        """
        entry = Entry(0, 0, EntryType.NORMAL, context)
        self._raft.step(Message(MessageType.READ_INDEX, entries=(entry,)))

    def campaign(self) -> None:
        """Start an election now."""
        self._raft.step(Message(MessageType.HUP))

    def transfer_leader(self, to: int) -> None:
        """Hand leadership to `to`; proposals are refused until done or timed out."""
        self._raft.step(Message(MessageType.TRANSFER_LEADER, sender=to))

    def forget_leader(self) -> None:
        """Behave as if no leader were known, so that this node may vote at once."""
        self._raft.step(Message(MessageType.FORGET_LEADER))

    def report_unreachable(self, node: int) -> None:
        """Say that the last message to `node` did not arrive."""
        self._raft.step(Message(MessageType.UNREACHABLE, sender=node))

    def report_snapshot(self, node: int, *, ok: bool) -> None:
        """Say whether the snapshot sent to `node` arrived."""
        self._raft.step(Message(MessageType.SNAP_STATUS, sender=node, reject=not ok))

    # Output

    def has_ready(self) -> bool:
        """Whether `ready` has anything to say."""
        r = self._raft
        log, soft = r.log, self._soft
        return bool(
            r.messages
            or r.after_append
            or log.unstable.has_next()
            or log.has_committed(not self._async)
            or r.read_states
            or soft.lead != r.lead
            or soft.role is not r.role
            or self._hard_changed()
            or log.unstable.next_snapshot()
        )

    def _hard_changed(self) -> bool:
        r, hard = self._raft, self._hard
        return r.log.committed != hard.commit or r.term != hard.term or r.vote != hard.vote

    def ready(self) -> Ready:
        """What to do now; the node counts it as under way from here on.

        Raises InvariantError when the one before was not advanced past.
        """
        if self._advance_steps:
            raise InvariantError("two accepted Ready structs without call to Advance")
        r = self._raft
        log = r.log
        before, soft, hard = self._hard, None, None
        if self._soft.lead != r.lead or self._soft.role is not r.role:
            soft = self._soft = r.soft_state()
        if self._hard_changed():
            hard = self._hard = r.hard_state()
        entries, snapshot = log.unstable.next_entries(), log.unstable.next_snapshot()
        committed = log.next_committed(not self._async)
        voted = hard is not None and (hard.term, hard.vote) != (
            before.term,
            before.vote,
        )
        route = self._to_threads if self._async else self._to_advance
        messages = route(entries, hard, snapshot, committed)
        reads = tuple(r.read_states)
        r.messages, r.after_append, r.read_states = [], [], []
        log.unstable.accept()
        if committed:
            log.accept_applying(committed, not self._async)
        must_sync = bool(entries) or voted
        return Ready(soft, hard, reads, entries, snapshot, committed, messages, must_sync)

    def _to_advance(
        self,
        entries: tuple[Entry, ...],
        hard: HardState | None,
        snapshot: Snapshot | None,
        committed: tuple[Entry, ...],
    ) -> tuple[Message, ...]:
        r = self._raft
        out, steps = r.messages, self._advance_steps
        for message in r.after_append:
            (steps if message.to == r.id else out).append(message)
        steps.extend(self._append_done(snapshot))
        if committed:
            steps.append(self._apply_done(committed))
        return tuple(out)

    def _to_threads(
        self,
        entries: tuple[Entry, ...],
        hard: HardState | None,
        snapshot: Snapshot | None,
        committed: tuple[Entry, ...],
    ) -> tuple[Message, ...]:
        r = self._raft
        out = r.messages
        if entries or hard or snapshot or r.after_append:
            saved = hard or HardState()
            out.append(
                Message(
                    type=MessageType.STORAGE_APPEND,
                    to=APPEND_THREAD,
                    sender=r.id,
                    term=saved.term,
                    vote=saved.vote,
                    commit=saved.commit,
                    entries=entries,
                    snapshot=snapshot,
                    responses=(*r.after_append, *self._append_done(snapshot)),
                )
            )
        if committed:
            out.append(
                Message(
                    type=MessageType.STORAGE_APPLY,
                    to=APPLY_THREAD,
                    sender=r.id,
                    entries=committed,
                    responses=(self._apply_done(committed),),
                )
            )
        return tuple(out)

    def _append_done(self, snapshot: Snapshot | None) -> Iterable[Message]:
        """What tells this node that everything unstable by now has been written.

        It names the last entry of the log and the present term rather than what is handed
        out now. After a change of term, writes under way may still overwrite entries that an
        older answer calls stable, so answers of older terms are ignored; naming the whole
        log lets a later answer make up for them.
        """
        r = self._raft
        if not r.log.unstable.entries and not snapshot:
            return ()
        term, index = r.log.last_id() if r.log.unstable.entries else (0, 0)
        return (
            Message(
                type=MessageType.STORAGE_APPEND_RESP,
                to=r.id,
                sender=APPEND_THREAD,
                term=r.term,
                log_term=term,
                index=index,
                snapshot=snapshot,
            ),
        )

    def _apply_done(self, committed: tuple[Entry, ...]) -> Message:
        return Message(
            type=MessageType.STORAGE_APPLY_RESP,
            to=self._raft.id,
            sender=APPLY_THREAD,
            entries=committed,
        )

    def advance(self) -> None:
        """Say that everything in the last `ready` is done.

        Raises InvariantError with async storage writes, where responses say so.
        """
        if self._async:
            raise InvariantError("Advance must not be called when using AsyncStorageWrites")
        steps, self._advance_steps = self._advance_steps, []
        for message in steps:
            self._raft.try_step(message)

    # Looking in

    @property
    def id(self) -> int:
        """Number of this node."""
        return self._raft.id

    @property
    def soft_state(self) -> SoftState:
        """Leader and role at this moment."""
        return self._raft.soft_state()

    @property
    def hard_state(self) -> HardState:
        """Term, vote and commit index at this moment."""
        return self._raft.hard_state()

    @property
    def applied(self) -> int:
        """Index up to which the host confirmed to have applied."""
        return self._raft.log.applied

    def term_at(self, index: int) -> int | None:
        """Term of the log at `index`; None when it was compacted or does not exist."""
        return self._raft.log.term(index)

    @property
    def conf_state(self) -> ConfState:
        """The membership in force."""
        return self._raft.tracker.config.conf_state()

    def status(self) -> Status:
        """A copy of everything worth showing."""
        return status_of(self._raft)

    def set_election_timeout(self, ticks: int) -> None:
        """Fix the randomised election timeout until the next change of role; for tests."""
        self._raft.randomized_election_tick = ticks
