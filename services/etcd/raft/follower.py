"""Messages that a follower or learner handles, and how a leader's messages are taken."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.etcd.raft import election, membership
from services.etcd.raft.config import ReadMode
from services.etcd.raft.errors import ProposalDroppedError
from services.etcd.raft.model import NONE, Message, MessageType, ReadState

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft


def step(r: Raft, m: Message) -> None:
    """Take one message. Raises ProposalDroppedError for a proposal that cannot be passed on."""
    handler = _HANDLERS.get(m.type)
    if handler is not None:
        handler(r, m)


def _heard_leader(r: Raft, m: Message) -> None:
    r.election_elapsed = 0
    r.lead = m.sender


def _append(r: Raft, m: Message) -> None:
    _heard_leader(r, m)
    handle_append(r, m)


def _heartbeat(r: Raft, m: Message) -> None:
    _heard_leader(r, m)
    handle_heartbeat(r, m)


def _snapshot(r: Raft, m: Message) -> None:
    _heard_leader(r, m)
    handle_snapshot(r, m)


def handle_append(r: Raft, m: Message) -> None:
    """Append a leader's entries, or answer where the logs may still be equal."""
    log = r.log
    if m.index < log.committed:
        r.send(MessageType.APP_RESP, m.sender, index=log.committed)
        return
    last = log.accept_append(m.index, m.log_term, m.entries, m.commit)
    if last is not None:
        r.send(MessageType.APP_RESP, m.sender, index=last)
        return
    r.logger.debug("%x rejected append at %d from %x", r.id, m.index, m.sender)
    # The hint skips all entries here whose term is above the one asked for: the leader
    # cannot have them at these positions.
    hint, term = log.probe_conflict(min(m.index, log.last_index()), m.log_term)
    r.send(
        MessageType.APP_RESP,
        m.sender,
        index=m.index,
        reject=True,
        reject_hint=hint,
        log_term=term,
    )


def handle_heartbeat(r: Raft, m: Message) -> None:
    """Take the commit index, which the leader bounds by what is known to match here."""
    r.log.commit_to(m.commit)
    r.send(MessageType.HEARTBEAT_RESP, m.sender, context=m.context)


def handle_snapshot(r: Raft, m: Message) -> None:
    """Restore a snapshot, or answer with what is committed already."""
    restored = m.snapshot is not None and membership.restore_snapshot(r, m.snapshot)
    r.logger.info("%x %s snapshot", r.id, "restored" if restored else "ignored")
    index = r.log.last_index() if restored else r.log.committed
    r.send(MessageType.APP_RESP, m.sender, index=index)


def _propose(r: Raft, m: Message) -> None:
    if r.lead == NONE or r.config.disable_proposal_forwarding:
        r.logger.info("%x has nobody to pass a proposal to at term %d", r.id, r.term)
        raise ProposalDroppedError
    r.forward(m)


def _pass_on(r: Raft, m: Message) -> None:
    if r.lead == NONE:
        r.logger.info("%x no leader at term %d; dropping %s", r.id, r.term, m.type.text)
        return
    r.forward(m)


def _forget_leader(r: Raft, m: Message) -> None:
    if r.config.read_mode is ReadMode.LEASE:
        r.logger.warning("%x keeps its leader: lease reads rely on it", r.id)
    else:
        r.lead = NONE


def _timeout_now(r: Raft, m: Message) -> None:
    # No pre-vote: the old leader asked for this, so the node is not cut off.
    r.logger.info("%x was asked by %x to take over at term %d", r.id, m.sender, r.term)
    election.hup(r, election.Campaign.TRANSFER)


def _read_answer(r: Raft, m: Message) -> None:
    if len(m.entries) == 1:
        r.read_states.append(ReadState(m.index, m.entries[0].data))


_HANDLERS = {
    MessageType.PROP: _propose,
    MessageType.APP: _append,
    MessageType.HEARTBEAT: _heartbeat,
    MessageType.SNAP: _snapshot,
    MessageType.TRANSFER_LEADER: _pass_on,
    MessageType.FORGET_LEADER: _forget_leader,
    MessageType.TIMEOUT_NOW: _timeout_now,
    MessageType.READ_INDEX: _pass_on,
    MessageType.READ_INDEX_RESP: _read_answer,
}
