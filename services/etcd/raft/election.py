"""Campaigns, votes, and what a message of another term means."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from services.etcd.raft import replication
from services.etcd.raft.model import NONE, EntryType, Message, MessageType, Role

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft

TRANSFER_CONTEXT = b"CampaignTransfer"
"""Marks vote requests that the old leader asked for; part of the wire protocol."""

_FROM_LEADER = frozenset({MessageType.APP, MessageType.HEARTBEAT, MessageType.SNAP})
_VOTES = frozenset({MessageType.VOTE, MessageType.PRE_VOTE})
_ANSWER = {
    MessageType.VOTE: MessageType.VOTE_RESP,
    MessageType.PRE_VOTE: MessageType.PRE_VOTE_RESP,
}


class Campaign(Enum):
    """Why and how votes are asked for."""

    PRE_ELECTION = "pre-election"
    ELECTION = "election"
    TRANSFER = "transfer"


def own_campaign(r: Raft) -> Campaign:
    """The campaign a node starts by itself."""
    return Campaign.PRE_ELECTION if r.config.pre_vote else Campaign.ELECTION


def hup(r: Raft, kind: Campaign) -> None:
    """Start a campaign if this node may."""
    if r.role is Role.LEADER:
        r.logger.debug("%x ignoring MsgHup because already leader", r.id)
    elif not r.promotable():
        r.logger.warning("%x is unpromotable and can not campaign", r.id)
    elif _has_unapplied_change(r):
        r.logger.warning("%x cannot campaign: a configuration change is unapplied", r.id)
    else:
        r.logger.info("%x is starting a new election at term %d", r.id, r.term)
        campaign(r, kind)


def _has_unapplied_change(r: Raft) -> bool:
    log = r.log
    pages = log.scan(log.applied + 1, log.committed + 1, log.max_applying)
    return any(entry.type != EntryType.NORMAL for page in pages for entry in page)


def campaign(r: Raft, kind: Campaign) -> None:
    """Ask every voter for its vote, oneself included."""
    if kind is Campaign.PRE_ELECTION:
        r.become_pre_candidate()
        request, term = MessageType.PRE_VOTE, r.term + 1
    else:
        r.become_candidate()
        request, term = MessageType.VOTE, r.term
    last_term, last_index = r.log.last_id()
    context = TRANSFER_CONTEXT if kind is Campaign.TRANSFER else b""
    for node in sorted(r.tracker.config.voters.ids):
        if node == r.id:
            # The own vote counts only once it is on disk, so it takes the same way back.
            r.send(_ANSWER[request], node, term=term)
            continue
        r.logger.info("%x sent %s to %x at term %d", r.id, request.text, node, r.term)
        r.send(
            request,
            node,
            term=term,
            index=last_index,
            log_term=last_term,
            context=context,
        )


def answer_vote(r: Raft, m: Message) -> None:
    """Grant or refuse a vote.

    A node grants when it has not voted for another in this term, knows no leader of it, and
    the candidate's log is at least as long as its own. The node that would be elected may
    know of a configuration that makes this learner a voter, so learners vote too.
    """
    pre = m.type is MessageType.PRE_VOTE
    free = r.vote == m.sender or (r.vote == NONE and r.lead == NONE) or (pre and m.term > r.term)
    granted = free and (m.log_term, m.index) >= r.log.last_id()
    verb = "cast" if granted else "rejected"
    r.logger.info("%x %s %s for %x at term %d", r.id, verb, m.type.text, m.sender, r.term)
    if not granted:
        r.send(_ANSWER[m.type], m.sender, reject=True)
        return
    # A pre-vote is answered with the term asked about, which is ahead of the own one.
    r.send(_ANSWER[m.type], m.sender, term=m.term)
    if not pre:
        r.election_elapsed = 0
        r.vote = m.sender


def accept_term(r: Raft, m: Message) -> bool:
    """Handle a message of another term; whether it is to be processed further."""
    if m.term < r.term:
        _answer_old_term(r, m)
        return False
    if m.type in _VOTES and m.context != TRANSFER_CONTEXT and _in_lease(r):
        r.logger.info("%x ignored %s from %x: lease not expired", r.id, m.type.text, m.sender)
        return False
    asks_ahead = m.type is MessageType.PRE_VOTE
    promised = m.type is MessageType.PRE_VOTE_RESP and not m.reject
    if not asks_ahead and not promised:
        r.logger.info("%x received %s with higher term %d", r.id, m.type.text, m.term)
        r.become_follower(m.term, m.sender if m.type in _FROM_LEADER else NONE)
    return True


def _in_lease(r: Raft) -> bool:
    config = r.config
    return config.check_quorum and r.lead != NONE and r.election_elapsed < config.election_tick


def _answer_old_term(r: Raft, m: Message) -> None:
    waits = r.config.check_quorum or r.config.pre_vote or not r.promotable()
    if waits and m.type in (MessageType.HEARTBEAT, MessageType.APP):
        # The leader would never learn of the newer term by itself: with these settings, or
        # as a learner, a node of a higher term does not force an election.
        r.send(MessageType.APP_RESP, m.sender)
    elif m.type is MessageType.PRE_VOTE:
        # The candidate must learn of the newer term, or two of them could wait forever.
        r.send(MessageType.PRE_VOTE_RESP, m.sender, reject=True)
    elif m.type is MessageType.STORAGE_APPEND_RESP and m.snapshot:
        # Entries may have been replaced since and wait for a later answer; a snapshot is
        # known to match the log, so it counts in any term.
        replication.snapshot_stable(r, m.snapshot)
    else:
        r.logger.info("%x ignored %s with lower term %d", r.id, m.type.text, m.term)
