"""Read requests on the leader; the rules are in `reads`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.etcd.raft import replication
from services.etcd.raft.config import ReadMode
from services.etcd.raft.model import NONE, Message, MessageType, ReadState

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft

_LEASE_MARGIN = 2
"""Ticks by which a lease ends early: the leader's and the node's ticks are not aligned."""


def request(r: Raft, m: Message) -> None:
    """Take a read request; `m.entries` holds its context.

    Before the first commit of the term the leader does not know what is committed, so the
    request waits for it.
    """
    if r.log.term(r.log.committed) != r.term:
        r.reads.early.append(m)
    elif _decides_alone(r) or _lease_holds(r):
        _answer(r, m, r.log.committed)
    else:
        r.reads.add(r.log.committed, m)
        replication.broadcast_heartbeat(r)


def _decides_alone(r: Raft) -> bool:
    # Not any single voter: a leader that was removed may still believe it leads the rest.
    voters = r.tracker.config.voters
    return voters.incoming == {r.id} and not voters.outgoing


def _lease_holds(r: Raft) -> bool:
    if r.config.read_mode is not ReadMode.LEASE:
        return False
    start = r.reads.lease_start()
    return start is not None and r.ticks - start < r.config.election_tick - _LEASE_MARGIN


def release_early(r: Raft) -> None:
    """Process the requests that waited for the first commit of the term."""
    early, r.reads.early = r.reads.early, []
    for message in early:
        request(r, message)


def acknowledged(r: Raft, m: Message) -> None:
    """Take a node's echo of a round and answer what it confirms."""
    r.reads.acknowledge(m.sender, m.context)
    for read in r.reads.confirm(r.tracker.config.voters):
        _answer(r, read.request, read.index)


def _answer(r: Raft, m: Message, index: int) -> None:
    if m.sender in (NONE, r.id):
        r.read_states.append(ReadState(index, m.entries[0].data))
        return
    r.messages.append(
        Message(
            type=MessageType.READ_INDEX_RESP,
            to=m.sender,
            sender=r.id,
            term=r.term,
            index=index,
            entries=m.entries,
        )
    )
