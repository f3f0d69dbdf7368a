"""Raising the leader's commit index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.etcd.raft import read_index

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft


def maybe_commit(r: Raft) -> bool:
    """Commit what a quorum has of this term; whether the commit index rose.

    Entries of earlier terms are committed along with one of this term, never by themselves:
    a quorum that has them does not keep a later leader from replacing them.
    """
    if not r.log.maybe_commit(r.tracker.committed(), r.term):
        return False
    read_index.release_early(r)
    return True
