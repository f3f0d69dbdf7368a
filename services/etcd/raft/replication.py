"""What a leader sends to bring other nodes up to its log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from services.etcd.raft.config import ReadMode
from services.etcd.raft.errors import InvariantError, SnapshotUnavailableError
from services.etcd.raft.model import Entry, Message, MessageType, Snapshot
from services.etcd.raft.sizes import payload_size
from services.etcd.raft.tracker import Progress, ProgressState

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft


def send_append(r: Raft, to: int, progress: Progress, *, even_empty: bool = True) -> bool:
    """Send the next entries and the commit index, or a snapshot if the entries are gone.

    Returns whether anything was sent. Without entries nothing is, unless `even_empty`.
    """
    if progress.is_paused:
        return False
    log = r.log
    before = progress.next - 1
    if not even_empty and before >= log.last_index():
        return False
    before_term = log.term(before)
    if before_term is None:
        return _send_snapshot(r, to, progress)
    entries: Sequence[Entry] | None = ()
    # With a full window only the commit index travels; the answer to it opens the window.
    if progress.state is not ProgressState.REPLICATE or not progress.inflights.full():
        entries = log.entries(progress.next, r.config.max_message_size)
    if entries is None:
        return _send_snapshot(r, to, progress)
    if not entries and not even_empty:
        return False
    r.messages.append(
        Message(
            type=MessageType.APP,
            to=to,
            sender=r.id,
            term=r.term,
            index=before,
            log_term=before_term,
            entries=tuple(entries),
            commit=log.committed,
        )
    )
    progress.sent_entries(len(entries), payload_size(entries))
    progress.sent_commit = log.committed
    return True


def _send_snapshot(r: Raft, to: int, progress: Progress) -> bool:
    if not progress.recent_active:
        r.logger.debug("%x sends no snapshot to %x, which is not active", r.id, to)
        return False
    try:
        snapshot = r.log.unstable.snapshot or r.log.storage.snapshot()
    except SnapshotUnavailableError:
        r.logger.debug("%x has no snapshot for %x yet", r.id, to)
        return False
    if not snapshot:
        raise InvariantError("need non-empty snapshot")
    progress.become_snapshot(snapshot.index)
    r.logger.debug("%x sent snapshot at %d to %x", r.id, snapshot.index, to)
    r.messages.append(
        Message(type=MessageType.SNAP, to=to, sender=r.id, term=r.term, snapshot=snapshot)
    )
    return True


def broadcast_append(r: Raft) -> None:
    """Send to every other node what it lacks, the commit index at least."""
    for node, progress in r.tracker.progress.items():
        if node != r.id:
            send_append(r, node, progress)


def broadcast_heartbeat(r: Raft) -> None:
    """Send a heartbeat to every other node.

    The commit index is bounded by what is known to match, since a node must never commit
    an entry of its own that differs from the leader's.
    """
    needs_round = bool(r.reads.waiting) or r.config.read_mode is ReadMode.LEASE
    context = r.reads.start_round(r.id, r.ticks) if needs_round else b""
    for node, progress in r.tracker.progress.items():
        if node == r.id:
            continue
        commit = min(progress.match, r.log.committed)
        r.messages.append(
            Message(
                type=MessageType.HEARTBEAT,
                to=node,
                sender=r.id,
                term=r.term,
                commit=commit,
                context=context,
            )
        )
        progress.sent_commit = commit


def snapshot_stable(r: Raft, snapshot: Snapshot) -> None:
    """Take the host's word that it saved and applied `snapshot`."""
    r.log.unstable.stable_snapshot_to(snapshot.index)
    r.applied(snapshot.index)
