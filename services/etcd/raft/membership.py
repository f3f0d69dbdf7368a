"""Putting configurations in force: by applied changes, by snapshots, at the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.etcd.raft import commit, confchange, replication
from services.etcd.raft.confchange import Changer, ConfChangeV2, Membership
from services.etcd.raft.errors import InvariantError
from services.etcd.raft.model import (
    NONE,
    ConfState,
    Entry,
    EntryType,
    Message,
    MessageType,
    Role,
    Snapshot,
)
from services.etcd.raft.tracker import TrackerConfig

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft


def admit(r: Raft, entry: Entry) -> Entry:
    """The proposed change as it goes into the log: itself, or an empty entry if refused.

    Refused are changes while another may be unapplied, and those that do not fit the
    present configuration. Raises ConfChangeError when the data cannot be read.
    """
    change = confchange.change_of_entry(entry)
    if change is None:
        return entry
    joint, leaves = r.tracker.config.voters.joint, not change.as_v2().changes
    refusal = ""
    if r.pending_conf_index > r.log.applied:
        refusal = f"the change at index {r.pending_conf_index} may be unapplied"
    elif joint and not leaves:
        refusal = "must transition out of joint config first"
    elif leaves and not joint:
        refusal = "not in joint state; refusing empty conf change"
    if refusal and not r.config.disable_conf_change_validation:
        r.logger.info("%x ignores conf change %s: %s", r.id, change, refusal)
        return Entry(entry.term, entry.index)
    r.pending_conf_index = entry.index
    return entry


def propose_leave(r: Raft) -> None:
    """Propose to leave the joint configuration; refused while leadership is transferred."""
    entry = Entry(0, 0, EntryType.CONF_CHANGE_V2)
    refusal = r.try_step(Message(MessageType.PROP, sender=r.id, entries=(entry,)))
    r.logger.info("%x leaves joint configuration: %s", r.id, refusal or "proposed")


def apply_change(r: Raft, change: ConfChangeV2) -> ConfState:
    """Put an applied change in force and return the configuration it leads to.

    Raises ConfChangeError when the change does not fit.
    """
    changer = _changer(r, Membership(r.tracker.config, r.tracker.progress))
    if change.leaves_joint:
        target = changer.leave_joint()
    elif change.enters_joint:
        target = changer.enter_joint(change.auto_leave, change.changes)
    else:
        target = changer.simple(change.changes)
    return switch(r, target)


def _changer(r: Raft, membership: Membership) -> Changer:
    trk = r.tracker
    return Changer(membership, r.log.last_index(), trk.max_inflight, trk.max_inflight_bytes)


def restore_config(r: Raft, state: ConfState) -> None:
    """Put the configuration `state` in force in place of whatever there is.

    Raises InvariantError when `state` does not describe a possible configuration.
    """
    target = confchange.restore(_changer(r, Membership(TrackerConfig(), {})), state)
    restored = switch(r, target)
    if not restored.equivalent(state):
        raise InvariantError(f"restored configuration {restored} differs from {state}")


def switch(r: Raft, target: Membership) -> ConfState:
    """Put `target` in force and do what follows from new quorums and new nodes."""
    r.tracker.switch(target.config, target.progress)
    r.logger.info("%x switched to configuration %s", r.id, target.config)
    own = target.progress.get(r.id)
    r.is_learner = own is not None and own.is_learner
    if r.role is Role.LEADER:
        if own is None or own.is_learner:
            if r.config.step_down_on_removal:
                r.become_follower(r.term, NONE)
        else:
            _catch_up(r)
    return target.config.conf_state()


def _catch_up(r: Raft) -> None:
    if commit.maybe_commit(r):
        replication.broadcast_append(r)
    else:
        # Nodes that came in need not wait for the next proposal or heartbeat.
        for node, progress in r.tracker.progress.items():
            if node != r.id:
                replication.send_append(r, node, progress, even_empty=False)
    if r.lead_transferee not in r.tracker.config.voters.ids:
        r.lead_transferee = NONE


def restore_snapshot(r: Raft, snapshot: Snapshot) -> bool:
    """Replace log and configuration by a leader's snapshot.

    False when it is of no use: older than what is committed, not meant for this node, or of
    an entry that the log holds anyway (which is then known to be committed).
    """
    log, state = r.log, snapshot.conf_state
    if snapshot.index <= log.committed:
        return False
    if r.role is not Role.FOLLOWER:
        # Cannot happen as long as leaders step down before; a new term is harmless.
        r.become_follower(r.term + 1, NONE)
        return False
    if r.id not in {*state.voters, *state.learners, *state.voters_outgoing}:
        r.logger.warning("%x is no member in the snapshot it was sent", r.id)
        return False
    if log.matches(snapshot.index, snapshot.term):
        log.commit_to(snapshot.index)
        return False
    log.restore(snapshot)
    r.restored_index = snapshot.index
    restore_config(r, state)
    return True
