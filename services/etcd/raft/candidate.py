"""Messages that a candidate or pre-candidate handles."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.etcd.raft import election, follower, replication
from services.etcd.raft.errors import ProposalDroppedError
from services.etcd.raft.model import NONE, Message, MessageType, Role
from services.etcd.raft.quorum import VoteResult

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft

_FROM_LEADER = {
    MessageType.APP: follower.handle_append,
    MessageType.HEARTBEAT: follower.handle_heartbeat,
    MessageType.SNAP: follower.handle_snapshot,
}


def step(r: Raft, m: Message) -> None:
    """Take one message. Raises ProposalDroppedError for every proposal."""
    if m.type is MessageType.PROP:
        raise ProposalDroppedError
    if m.type in _FROM_LEADER:
        r.become_follower(m.term, m.sender)
        _FROM_LEADER[m.type](r, m)
        return
    pre = r.role is Role.PRE_CANDIDATE
    if m.type is (MessageType.PRE_VOTE_RESP if pre else MessageType.VOTE_RESP):
        _count_vote(r, m)


def _count_vote(r: Raft, m: Message) -> None:
    r.tracker.record_vote(m.sender, not m.reject)
    granted, refused, result = r.tracker.tally()
    r.logger.info("%x has %d votes, %d rejections", r.id, granted, refused)
    if result is VoteResult.LOST:
        r.become_follower(r.term, NONE)
    elif result is VoteResult.WON and r.role is Role.PRE_CANDIDATE:
        election.campaign(r, election.Campaign.ELECTION)
    elif result is VoteResult.WON:
        r.become_leader()
        replication.broadcast_append(r)
