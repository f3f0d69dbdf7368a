"""From one configuration to the next, with the rules that keep quorums overlapping.

A simple change may move one voter. Anything larger enters a joint configuration first, in
which both majorities decide, and leaves it later. A voter that is to become a learner stays
a voter of the outgoing half until then (`learners_next`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy
from dataclasses import dataclass, replace

from services.etcd.raft.confchange.change import ChangeSingle, ChangeType
from services.etcd.raft.errors import ConfChangeError, InvariantError
from services.etcd.raft.quorum import JointConfig
from services.etcd.raft.tracker import Inflights, Progress, TrackerConfig


@dataclass(frozen=True, slots=True)
class Membership:
    """A configuration with the progress of each of its nodes."""

    config: TrackerConfig
    progress: Mapping[int, Progress]


@dataclass(frozen=True, slots=True)
class Changer:
    """Computes memberships that follow from the present one, which stays untouched.

    `last_index` is where nodes that come in are probed first. All methods raise
    ConfChangeError when the change does not apply.
    """

    membership: Membership
    last_index: int
    max_inflight: int
    max_inflight_bytes: int = 0

    def enter_joint(self, auto_leave: bool, changes: Iterable[ChangeSingle]) -> Membership:
        """Make the voters outgoing and apply `changes` to a copy of them that comes in."""
        draft = self._draft()
        if draft.outgoing:
            raise ConfChangeError("config is already joint")
        if not draft.incoming:
            raise ConfChangeError("can't make a zero-voter config joint")
        draft.outgoing = set(draft.incoming)
        self._apply(draft, changes)
        return draft.finish(auto_leave)

    def leave_joint(self) -> Membership:
        """Drop the outgoing half and turn the learners-to-be into learners."""
        draft = self._draft()
        if not draft.outgoing:
            raise ConfChangeError("can't leave a non-joint config")
        for node in draft.learners_next:
            draft.progress[node].is_learner = True
        draft.learners |= draft.learners_next
        draft.learners_next = set()
        for node in draft.outgoing - draft.incoming - draft.learners:
            del draft.progress[node]
        draft.outgoing = set()
        return draft.finish()

    def simple(self, changes: Iterable[ChangeSingle]) -> Membership:
        """Apply changes that move one voter at most."""
        draft = self._draft()
        if draft.outgoing:
            raise ConfChangeError("can't apply simple config change in joint config")
        self._apply(draft, changes)
        if len(draft.incoming ^ self.membership.config.voters.incoming) > 1:
            raise ConfChangeError("more than one voter changed without entering joint config")
        return draft.finish()

    def _draft(self) -> _Draft:
        config = self.membership.config
        check(self.membership)
        return _Draft(
            set(config.voters.incoming),
            set(config.voters.outgoing),
            set(config.learners),
            set(config.learners_next),
            {node: copy(pr) for node, pr in self.membership.progress.items()},
        )

    def _apply(self, draft: _Draft, changes: Iterable[ChangeSingle]) -> None:
        for change in changes:
            if change.node == 0:
                continue  # an application's way to cancel a change that is in the log
            if change.type is ChangeType.REMOVE_NODE:
                draft.remove(change.node)
            elif change.type is not ChangeType.UPDATE_NODE:
                self._add(draft, change)
        if not draft.incoming:
            raise ConfChangeError("removed all voters")

    def _add(self, draft: _Draft, change: ChangeSingle) -> None:
        learner = change.type is ChangeType.ADD_LEARNER_NODE
        if change.node not in draft.progress:
            (draft.learners if learner else draft.incoming).add(change.node)
            # Counted as active, lest check-quorum depose the leader before it is heard of.
            draft.progress[change.node] = Progress(
                next=max(self.last_index, 1),
                inflights=Inflights(self.max_inflight, self.max_inflight_bytes),
                is_learner=learner,
                recent_active=True,
            )
        elif learner:
            draft.demote(change.node)
        else:
            draft.promote(change.node)


@dataclass(slots=True)
class _Draft:
    """A membership being worked on."""

    incoming: set[int]
    outgoing: set[int]
    learners: set[int]
    learners_next: set[int]
    progress: dict[int, Progress]

    def promote(self, node: int) -> None:
        self.progress[node].is_learner = False
        self.learners.discard(node)
        self.learners_next.discard(node)
        self.incoming.add(node)

    def demote(self, node: int) -> None:
        progress = self.progress[node]
        if progress.is_learner:
            return
        self.remove(node)
        self.progress[node] = progress
        if node in self.outgoing:
            self.learners_next.add(node)
        else:
            progress.is_learner = True
            self.learners.add(node)

    def remove(self, node: int) -> None:
        for group in (self.incoming, self.learners, self.learners_next):
            group.discard(node)
        if node not in self.outgoing:
            self.progress.pop(node, None)

    def finish(self, auto_leave: bool = False) -> Membership:
        config = TrackerConfig(
            JointConfig(frozenset(self.incoming), frozenset(self.outgoing)),
            auto_leave,
            frozenset(self.learners),
            frozenset(self.learners_next),
        )
        return check(Membership(config, self.progress))


def check(membership: Membership) -> Membership:
    """The membership itself. Raises InvariantError when its parts contradict each other."""
    config, progress = membership.config, membership.progress
    voters = config.voters
    marked = {node for node, pr in progress.items() if pr.is_learner}
    known = voters.ids | config.learners | config.learners_next
    rules = {
        "a member has no progress": known <= progress.keys(),
        "a learner to be is no outgoing voter": config.learners_next <= voters.outgoing,
        "a learner is a voter": not config.learners & voters.ids,
        "a learner is not marked as one": config.learners <= marked,
        "a learner to be is marked as learner": not config.learners_next & marked,
        "auto leave outside of a joint configuration": voters.joint or not config.auto_leave,
    }
    for rule, holds in rules.items():
        if not holds:
            raise InvariantError(f"membership {config}: {rule}")
    return membership


def with_membership(changer: Changer, membership: Membership) -> Changer:
    """The same changer, starting from another membership."""
    return replace(changer, membership=membership)
