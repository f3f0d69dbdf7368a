"""Messages and ticks that a leader handles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.etcd.raft import commit, membership, read_index, replication
from services.etcd.raft.errors import InvariantError, ProposalDroppedError
from services.etcd.raft.model import NONE, Entry, Message, MessageType, Role, normal_entries
from services.etcd.raft.tracker import Progress, ProgressState

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft


def tick(r: Raft) -> None:
    """Send heartbeats; every election timeout check the quorum and give up a transfer."""
    r.heartbeat_elapsed += 1
    if r.election_elapsed >= r.config.election_tick:
        r.election_elapsed = 0
        if r.config.check_quorum:
            _check_quorum(r)
        r.lead_transferee = NONE
    if r.role is Role.LEADER and r.heartbeat_elapsed >= r.config.heartbeat_tick:
        r.heartbeat_elapsed = 0
        replication.broadcast_heartbeat(r)


def step(r: Raft, m: Message) -> None:
    """Take one message. Raises ProposalDroppedError."""
    handler = _HANDLERS.get(m.type)
    if handler is not None:
        handler(r, m)
        return
    from_node = _FROM_NODE.get(m.type)
    progress = r.tracker.progress.get(m.sender)
    if from_node is not None and progress is not None:
        from_node(r, m, progress)


def _beat(r: Raft, m: Message) -> None:
    replication.broadcast_heartbeat(r)


def _check_quorum(r: Raft) -> None:
    if not r.tracker.quorum_active():
        r.logger.warning("%x stepped down: no quorum is active", r.id)
        r.become_follower(r.term, NONE)
    for node, progress in r.tracker.progress.items():
        if node != r.id:
            progress.recent_active = False


def _propose(r: Raft, m: Message) -> None:
    if not m.entries:
        raise InvariantError("stepped empty MsgProp")
    if r.id not in r.tracker.progress:
        # Removed from the configuration while leading: nothing new comes in.
        raise ProposalDroppedError
    if r.lead_transferee != NONE:
        r.logger.debug("%x transfers leadership; dropping proposal", r.id)
        raise ProposalDroppedError
    first = r.log.last_index() + 1
    if any(entry.type for entry in m.entries):
        entries = _with_changes(r, m, first)
    else:
        entries = normal_entries(r.term, first, [entry.data for entry in m.entries])
    if not r.append(entries):
        raise ProposalDroppedError
    replication.broadcast_append(r)


def _with_changes(r: Raft, m: Message, first: int) -> list[Entry]:
    numbered = [Entry(r.term, at, e.type, e.data) for at, e in enumerate(m.entries, first)]
    return [membership.admit(r, entry) if entry.type else entry for entry in numbered]


def _check_quorum_message(r: Raft, m: Message) -> None:
    _check_quorum(r)


def _append_answer(r: Raft, m: Message, progress: Progress) -> None:
    progress.recent_active = True
    if m.reject:
        _rejected(r, m, progress)
        return
    news = progress.acknowledge(m.index)
    # A probe that found a match brings no news when the match is where it was assumed.
    if news or (progress.match == m.index and progress.state is ProgressState.PROBE):
        _accepted(r, m, progress)


def _rejected(r: Raft, m: Message, progress: Progress) -> None:
    hint = m.reject_hint
    if m.log_term:
        # Where the hinted term is above what is here, the logs cannot be equal: skip all
        # own entries of such terms, rather than probing them one by one.
        hint, _ = r.log.probe_conflict(m.reject_hint, m.log_term)
    if progress.retreat(m.index, hint):
        r.logger.debug("%x decreased progress of %x to [%s]", r.id, m.sender, progress)
        if progress.state is ProgressState.REPLICATE:
            progress.become_probe()
        replication.send_append(r, m.sender, progress)


def _accepted(r: Raft, m: Message, progress: Progress) -> None:
    if progress.state is ProgressState.PROBE:
        progress.become_replicate()
    elif progress.state is ProgressState.REPLICATE:
        progress.inflights.free_to(m.index)
    elif progress.match + 1 >= r.log.first_index():
        # Enough arrived, by whatever way, to continue from the log.
        progress.become_probe()
        progress.become_replicate()
    other = m.sender != r.id
    if commit.maybe_commit(r):
        replication.broadcast_append(r)
    elif other and progress.can_bump_commit(r.log.committed):
        replication.send_append(r, m.sender, progress)
    if not other:
        return
    while replication.send_append(r, m.sender, progress, even_empty=False):
        pass
    if m.sender == r.lead_transferee and progress.match == r.log.last_index():
        _send_timeout_now(r, m.sender)


def _heartbeat_answer(r: Raft, m: Message, progress: Progress) -> None:
    progress.recent_active = True
    progress.paused = False
    # An append may have been lost; also a probe must end even when there is nothing to send.
    if progress.match < r.log.last_index() or progress.state is ProgressState.PROBE:
        replication.send_append(r, m.sender, progress)
    if m.context:
        read_index.acknowledged(r, m)


def _snapshot_status(r: Raft, m: Message, progress: Progress) -> None:
    if progress.state is not ProgressState.SNAPSHOT:
        return
    if m.reject:
        progress.pending_snapshot = 0
    progress.become_probe()
    # The node answers by itself when it has the snapshot; a failed one waits a heartbeat.
    progress.paused = True


def _unreachable(r: Raft, m: Message, progress: Progress) -> None:
    # What was under way is probably lost.
    if progress.state is ProgressState.REPLICATE:
        progress.become_probe()
    r.logger.debug("%x cannot reach %x [%s]", r.id, m.sender, progress)


def _transfer(r: Raft, m: Message, progress: Progress) -> None:
    to = m.sender
    if progress.is_learner or to in (r.id, r.lead_transferee):
        # Asking for the own node still ends a transfer that is under way.
        if to == r.id and not progress.is_learner:
            r.lead_transferee = NONE
        return
    r.logger.info("%x starts to transfer leadership to %x", r.id, to)
    r.election_elapsed = 0  # the transfer has one election timeout
    r.lead_transferee = to
    if progress.match == r.log.last_index():
        _send_timeout_now(r, to)
    else:
        replication.send_append(r, to, progress)


def _send_timeout_now(r: Raft, to: int) -> None:
    r.reads.lease_void = True
    r.send(MessageType.TIMEOUT_NOW, to)


_HANDLERS = {
    MessageType.BEAT: _beat,
    MessageType.CHECK_QUORUM: _check_quorum_message,
    MessageType.PROP: _propose,
    MessageType.READ_INDEX: read_index.request,
}

_FROM_NODE = {
    MessageType.APP_RESP: _append_answer,
    MessageType.HEARTBEAT_RESP: _heartbeat_answer,
    MessageType.SNAP_STATUS: _snapshot_status,
    MessageType.UNREACHABLE: _unreachable,
    MessageType.TRANSFER_LEADER: _transfer,
}
