"""The membership that a snapshot names, built up from nothing by ordinary changes."""

from __future__ import annotations

from collections.abc import Iterable

from services.etcd.raft.confchange.change import ChangeSingle, ChangeType
from services.etcd.raft.confchange.changer import Changer, Membership, with_membership
from services.etcd.raft.model import ConfState


def restore(changer: Changer, state: ConfState) -> Membership:
    """What `state` describes; `changer` must start from an empty membership.

    Raises ConfChangeError when no sequence of changes leads to `state`.
    """
    outgoing = _each(ChangeType.ADD_NODE, state.voters_outgoing)
    incoming = [
        *_each(ChangeType.REMOVE_NODE, state.voters_outgoing),
        *_each(ChangeType.ADD_NODE, state.voters),
        *_each(ChangeType.ADD_LEARNER_NODE, (*state.learners, *state.learners_next)),
    ]
    for change in outgoing or incoming:
        changer = with_membership(changer, changer.simple([change]))
    if outgoing:
        return changer.enter_joint(state.auto_leave, incoming)
    return changer.membership


def _each(kind: ChangeType, nodes: Iterable[int]) -> list[ChangeSingle]:
    return [ChangeSingle(kind, node) for node in nodes]
