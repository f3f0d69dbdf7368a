"""The state machine of one node: terms, roles, elections, dispatch of messages.

Everything happens in `tick` and `step`; both only change memory. What must leave the node
gathers in two lists: `messages` may be sent at once, `after_append` only when all unstable
state is on disk. The behaviour per role is in `leader`, `candidate` and `follower`.
"""

from __future__ import annotations

from collections.abc import Sequence

from services.etcd.raft import (
    candidate,
    election,
    follower,
    leader,
    membership,
    replication,
)
from services.etcd.raft.config import Config
from services.etcd.raft.errors import InvariantError, RaftError
from services.etcd.raft.log import Log
from services.etcd.raft.model import (
    NONE,
    Entry,
    HardState,
    Message,
    MessageType,
    ReadState,
    Role,
    SoftState,
)
from services.etcd.raft.reads import Reads
from services.etcd.raft.sizes import payload_size
from services.etcd.raft.tracker import ProgressTracker

_DEFERRED = frozenset({MessageType.APP_RESP, MessageType.VOTE_RESP, MessageType.PRE_VOTE_RESP})
_TERMLESS = frozenset({MessageType.PROP, MessageType.READ_INDEX})

_STEPS = {
    Role.FOLLOWER: follower.step,
    Role.CANDIDATE: candidate.step,
    Role.PRE_CANDIDATE: candidate.step,
    Role.LEADER: leader.step,
}


class Raft:
    """One node. Attributes are read by the modules named above and by `node.Node` only.

    Raises InvariantError from any method when the contract of the log was broken.
    """

    __slots__ = (
        "after_append",
        "config",
        "election_elapsed",
        "heartbeat_elapsed",
        "id",
        "is_learner",
        "lead",
        "lead_transferee",
        "log",
        "logger",
        "messages",
        "pending_conf_index",
        "randomized_election_tick",
        "read_states",
        "reads",
        "restored_index",
        "role",
        "term",
        "ticks",
        "tracker",
        "uncommitted_size",
        "vote",
    )

    def __init__(self, config: Config) -> None:
        self.config = config
        self.id = config.id
        self.logger = config.logger
        self.log = Log(config.storage, config.committed_limit)
        self.tracker = ProgressTracker(config.max_inflight_messages, config.max_inflight_bytes)
        self.role = Role.FOLLOWER
        self.term, self.vote, self.lead = 0, NONE, NONE
        self.lead_transferee = NONE
        self.is_learner = False
        self.messages: list[Message] = []
        self.after_append: list[Message] = []
        self.read_states: list[ReadState] = []
        self.reads = Reads()
        self.pending_conf_index = self.restored_index = 0
        self.uncommitted_size = 0
        self.ticks = self.election_elapsed = self.heartbeat_elapsed = 0
        self.randomized_election_tick = 0
        hard_state, conf_state = config.storage.initial_state()
        membership.restore_config(self, conf_state)
        self._load(hard_state)
        if config.applied:
            self.log.applied_to(config.applied)
        self.become_follower(self.term, NONE)

    def _load(self, state: HardState) -> None:
        if not state:
            return
        low, high = self.log.committed, self.log.last_index()
        if not low <= state.commit <= high:
            raise InvariantError(f"saved commit {state.commit} is out of range [{low}, {high}]")
        self.log.committed = state.commit
        self.term, self.vote = state.term, state.vote

    # State

    def soft_state(self) -> SoftState:
        """Leader and role."""
        return SoftState(self.lead, self.role)

    def hard_state(self) -> HardState:
        """Term, vote and commit index."""
        return HardState(self.term, self.vote, self.log.committed)

    def promotable(self) -> bool:
        """Whether this node may become leader: a voter whose log is in place."""
        progress = self.tracker.progress.get(self.id)
        return progress is not None and not progress.is_learner and not self.log.unstable.snapshot

    # Roles

    def reset(self, term: int) -> None:
        """Start afresh in `term`: no leader, no votes, nothing known of other nodes."""
        if self.term != term:
            self.term, self.vote = term, NONE
        self.lead = self.lead_transferee = NONE
        self.election_elapsed = self.heartbeat_elapsed = 0
        base = self.config.election_tick
        self.randomized_election_tick = base + self.config.random_below(base)
        self.tracker.reset_votes()
        last = self.log.last_index()
        for node, progress in self.tracker.progress.items():
            progress.restart(last + 1, last if node == self.id else 0)
        self.pending_conf_index = 0
        self.uncommitted_size = 0
        self.reads = Reads()

    def become_follower(self, term: int, lead: int) -> None:
        """Follow `lead`, which may be unknown, in `term`."""
        self.reset(term)
        self.lead, self.role = lead, Role.FOLLOWER
        self.logger.info("%x became follower at term %d", self.id, self.term)

    def become_candidate(self) -> None:
        """Open a new term and vote for oneself. Raises InvariantError on a leader."""
        if self.role is Role.LEADER:
            raise InvariantError("invalid transition [leader -> candidate]")
        self.reset(self.term + 1)
        self.vote, self.role = self.id, Role.CANDIDATE
        self.logger.info("%x became candidate at term %d", self.id, self.term)

    def become_pre_candidate(self) -> None:
        """Ask for votes without opening a term. Raises InvariantError on a leader."""
        if self.role is Role.LEADER:
            raise InvariantError("invalid transition [leader -> pre-candidate]")
        self.tracker.reset_votes()
        self.lead, self.role = NONE, Role.PRE_CANDIDATE
        self.logger.info("%x became pre-candidate at term %d", self.id, self.term)

    def become_leader(self) -> None:
        """Lead the term and append its first, empty entry. Raises InvariantError."""
        if self.role is Role.FOLLOWER:
            raise InvariantError("invalid transition [follower -> leader]")
        self.reset(self.term)
        self.lead, self.role = self.id, Role.LEADER
        own = self.tracker.progress[self.id]
        own.become_replicate()
        own.recent_active = True
        # Some change may be in the log unapplied; assuming so costs no scan and is safe.
        self.pending_conf_index = self.log.last_index()
        self.append([Entry(self.term, self.log.last_index() + 1)])
        self.logger.info("%x became leader at term %d", self.id, self.term)

    # Log

    def append(self, entries: Sequence[Entry]) -> bool:
        """Append `entries`, already numbered; False when the uncommitted tail is too large.

        Empty payloads always fit: a leader's first entry and leaving a joint configuration
        must not depend on load.
        """
        size = payload_size(entries)
        held = self.uncommitted_size
        if held and size and held + size > self.config.uncommitted_limit:
            self.logger.warning("%x uncommitted size limit reached; dropping proposal", self.id)
            return False
        self.uncommitted_size = held + size
        self.log.append(entries)
        self.send(MessageType.APP_RESP, self.id, index=entries[-1].index)
        return True

    def applied(self, index: int, entries: Sequence[Entry] = ()) -> None:
        """Take the host's word that it applied up to `index`."""
        self.log.applied_to(max(index, self.log.applied), entries)
        auto_leave = self.tracker.config.auto_leave and self.role is Role.LEADER
        if auto_leave and self.log.applied >= self.pending_conf_index:
            membership.propose_leave(self)

    # Messages

    def send(
        self,
        kind: MessageType,
        to: int,
        *,
        term: int = 0,
        index: int = 0,
        log_term: int = 0,
        reject: bool = False,
        reject_hint: int = 0,
        context: bytes = b"",
    ) -> None:
        """Queue a message without entries; `term` is the own one unless given."""
        message = Message(
            type=kind,
            to=to,
            sender=self.id,
            term=term or self.term,
            log_term=log_term,
            index=index,
            reject=reject,
            reject_hint=reject_hint,
            context=context,
        )
        (self.after_append if kind in _DEFERRED else self.messages).append(message)

    def forward(self, message: Message) -> None:
        """Pass a request on to the leader, who answers its original sender."""
        self.messages.append(
            Message(
                type=message.type,
                to=self.lead,
                sender=message.sender or self.id,
                term=0 if message.type in _TERMLESS else self.term,
                entries=message.entries,
                context=message.context,
            )
        )

    # Input

    def tick(self) -> None:
        """Let one tick pass."""
        self.ticks += 1
        self.election_elapsed += 1
        if self.role is Role.LEADER:
            leader.tick(self)
        elif self.election_elapsed >= self.randomized_election_tick and self.promotable():
            self.election_elapsed = 0
            election.hup(self, election.own_campaign(self))

    def step(self, message: Message) -> None:
        """Take one message. Raises ProposalDroppedError for proposals not taken."""
        if message.term != self.term and message.term and not election.accept_term(self, message):
            return
        handler = _COMMON.get(message.type)
        if handler is not None:
            handler(self, message)
        else:
            _STEPS[self.role](self, message)

    def try_step(self, message: Message) -> RaftError | None:
        """Step and return a refusal in place of raising it."""
        try:
            self.step(message)
        except InvariantError:
            raise
        except RaftError as error:
            return error
        return None


def _hup(r: Raft, message: Message) -> None:
    election.hup(r, election.own_campaign(r))


def _storage_append_done(r: Raft, message: Message) -> None:
    if message.index and not r.log.unstable.stable_to(message.index, message.log_term):
        r.logger.info("%x entry %d was replaced while it was written", r.id, message.index)
    if message.snapshot:
        replication.snapshot_stable(r, message.snapshot)


def _storage_apply_done(r: Raft, message: Message) -> None:
    if message.entries:
        r.applied(message.entries[-1].index, message.entries)
        r.uncommitted_size = max(0, r.uncommitted_size - payload_size(message.entries))


_COMMON = {
    MessageType.HUP: _hup,
    MessageType.VOTE: election.answer_vote,
    MessageType.PRE_VOTE: election.answer_vote,
    MessageType.STORAGE_APPEND_RESP: _storage_append_done,
    MessageType.STORAGE_APPLY_RESP: _storage_apply_done,
}
