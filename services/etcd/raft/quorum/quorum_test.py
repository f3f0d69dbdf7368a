"""Quorum decisions against their definition."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.raft.quorum import INFINITY, JointConfig, VoteResult
from services.etcd.raft.quorum.majority import committed_index, vote_result

voters = st.frozensets(st.integers(1, 9), max_size=7)
acks = st.dictionaries(st.integers(1, 9), st.integers(0, 20))
votes = st.dictionaries(st.integers(1, 9), st.booleans())


@given(voters, acks)
def test_committed_is_the_highest_index_a_majority_has(
    group: frozenset[int], acked: dict[int, int]
) -> None:
    def has_quorum(index: int) -> bool:
        return 2 * sum(acked.get(voter, 0) >= index for voter in group) > len(group)

    index = committed_index(group, acked)
    if group:
        assert has_quorum(index)
        assert not has_quorum(index + 1)
    else:
        assert index == INFINITY


@given(voters, acks, st.integers(1, 9), st.integers(0, 20))
def test_more_acknowledgements_never_commit_less(
    group: frozenset[int], acked: dict[int, int], voter: int, index: int
) -> None:
    more = {**acked, voter: max(index, acked.get(voter, 0))}
    assert committed_index(group, more) >= committed_index(group, acked)


@given(st.frozensets(st.integers(1, 5), max_size=5), votes)
def test_vote_is_decided_when_no_completion_could_change_it(
    group: frozenset[int], cast: dict[int, bool]
) -> None:
    missing = [voter for voter in group if voter not in cast]
    outcomes = set()
    for answers in product((True, False), repeat=len(missing)):
        final = cast | dict(zip(missing, answers, strict=True))
        outcomes.add(not group or 2 * sum(final[voter] for voter in group) > len(group))
    expected = {frozenset({True}): VoteResult.WON, frozenset({False}): VoteResult.LOST}
    assert vote_result(group, cast) is expected.get(frozenset(outcomes), VoteResult.PENDING)


@given(voters, voters, acks, votes)
def test_joint_decisions_need_both_halves_and_commute(
    one: frozenset[int], two: frozenset[int], acked: dict[int, int], cast: dict[int, bool]
) -> None:
    config, swapped = JointConfig(one, two), JointConfig(two, one)
    assert config.committed_index(acked) == swapped.committed_index(acked)
    assert config.committed_index(acked) == min(
        committed_index(one, acked), committed_index(two, acked)
    )
    result = config.vote_result(cast)
    assert result is swapped.vote_result(cast)
    halves = {vote_result(one, cast), vote_result(two, cast)}
    assert (result is VoteResult.WON) == (halves == {VoteResult.WON})
    assert (result is VoteResult.LOST) == (VoteResult.LOST in halves)


@given(voters, acks)
def test_an_empty_half_changes_nothing(group: frozenset[int], acked: dict[int, int]) -> None:
    expected = committed_index(group, acked)
    assert JointConfig(group).committed_index(acked) == expected
    assert JointConfig(group, group).committed_index(acked) == expected


@pytest.mark.parametrize(
    ("config", "text"),
    [
        pytest.param(JointConfig(), "()", id="empty"),
        pytest.param(JointConfig(frozenset({2, 1, 10})), "(1 2 a)", id="sorted-hexadecimal"),
        pytest.param(JointConfig(frozenset({1}), frozenset({2})), "(1)&&(2)", id="joint"),
    ],
)
def test_text(config: JointConfig, text: str) -> None:
    assert str(config) == text
