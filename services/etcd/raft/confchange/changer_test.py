"""Sequences of changes keep every rule, and snapshots bring any membership back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.etcd.raft.confchange import Changer, ChangeSingle, ChangeType, Membership, restore
from services.etcd.raft.confchange.changer import check
from services.etcd.raft.errors import ConfChangeError
from services.etcd.raft.model import ConfState
from services.etcd.raft.tracker import TrackerConfig

singles = st.builds(ChangeSingle, st.sampled_from(ChangeType), st.integers(0, 6))
steps = st.lists(
    st.tuples(
        st.sampled_from(("simple", "enter", "leave")), st.lists(singles, max_size=4), st.booleans()
    ),
    max_size=15,
)

EMPTY = Membership(TrackerConfig(), {})


def changer(membership: Membership) -> Changer:
    return Changer(membership, last_index=10, max_inflight=4)


def changed(
    membership: Membership, kind: str, changes: list[ChangeSingle], auto: bool
) -> Membership:
    if kind == "simple":
        return changer(membership).simple(changes)
    if kind == "enter":
        return changer(membership).enter_joint(auto, changes)
    return changer(membership).leave_joint()


@given(steps)
def test_rules_hold_after_any_sequence(
    script: list[tuple[str, list[ChangeSingle], bool]],
) -> None:
    membership = EMPTY
    for kind, changes, auto in script:
        before, text = membership, str(membership.config)
        try:
            membership = changed(membership, kind, changes, auto)
        except ConfChangeError:
            continue
        assert str(before.config) == text
        check(membership)
        old, new = before.config.voters, membership.config.voters
        # Any quorum of one configuration and any of the next one share a node.
        assert len(old.incoming ^ new.incoming) <= 1 or old.joint or new.outgoing == old.incoming
        assert new.incoming


@given(steps)
def test_restore_brings_back_any_membership(
    script: list[tuple[str, list[ChangeSingle], bool]],
) -> None:
    membership = EMPTY
    for kind, changes, auto in script:
        try:
            membership = changed(membership, kind, changes, auto)
        except ConfChangeError:
            continue
    state = membership.config.conf_state()
    restored = restore(changer(EMPTY), state)
    assert restored.config == membership.config
    assert restored.config.conf_state() == state
    learners = {node for node, pr in membership.progress.items() if pr.is_learner}
    assert {node for node, pr in restored.progress.items() if pr.is_learner} == learners


def test_a_voter_to_be_demoted_votes_until_the_joint_configuration_is_left() -> None:
    start = restore(changer(EMPTY), ConfState(voters=(1, 2, 3)))
    joint = changer(start).enter_joint(True, [ChangeSingle(ChangeType.ADD_LEARNER_NODE, 3)])
    assert str(joint.config) == "voters=(1 2)&&(1 2 3) learners_next=(3) autoleave"
    assert not joint.progress[3].is_learner
    assert str(changer(joint).leave_joint().config) == "voters=(1 2) learners=(3)"
