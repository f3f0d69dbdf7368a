"""Replication to one node, transition by transition."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.raft.errors import InvariantError
from services.etcd.raft.tracker import Inflights, Progress, ProgressState


def progress(state: ProgressState, match: int = 5, next_index: int = 10) -> Progress:
    made = Progress(next=next_index, inflights=Inflights(4), match=match, recent_active=True)
    made.state = state
    return made


def test_probe_starts_behind_the_match() -> None:
    pr = progress(ProgressState.REPLICATE)
    pr.become_probe()
    assert (pr.state, pr.next) == (ProgressState.PROBE, 6)


def test_probe_after_a_snapshot_starts_behind_it() -> None:
    pr = progress(ProgressState.REPLICATE)
    pr.become_snapshot(20)
    assert pr.is_paused
    pr.become_probe()
    assert (pr.next, pr.pending_snapshot, pr.is_paused) == (21, 0, False)


def test_replicate_runs_ahead_until_the_window_is_full() -> None:
    pr = progress(ProgressState.REPLICATE, next_index=6)
    for _ in range(4):
        assert not pr.is_paused
        pr.sent_entries(2, 10)
    assert (pr.next, pr.is_paused) == (14, True)


def test_probe_pauses_after_one_message_with_entries() -> None:
    pr = progress(ProgressState.PROBE)
    pr.sent_entries(0, 0)
    assert not pr.is_paused
    pr.sent_entries(1, 1)
    assert pr.is_paused


def test_nothing_is_appended_while_a_snapshot_is_under_way() -> None:
    pr = progress(ProgressState.SNAPSHOT)
    with pytest.raises(InvariantError):
        pr.sent_entries(1, 1)


@pytest.mark.parametrize(
    ("state", "rejected", "hint", "genuine", "next_index"),
    [
        pytest.param(ProgressState.REPLICATE, 5, 5, False, 10, id="replicate-old"),
        pytest.param(ProgressState.REPLICATE, 9, 2, True, 6, id="replicate"),
        pytest.param(ProgressState.PROBE, 8, 8, False, 10, id="probe-other-message"),
        pytest.param(ProgressState.PROBE, 9, 7, True, 8, id="probe-hint"),
        pytest.param(ProgressState.PROBE, 9, 20, True, 9, id="probe-hint-too-high"),
        pytest.param(ProgressState.PROBE, 9, 0, True, 6, id="probe-never-below-match"),
    ],
)
def test_rejections(
    state: ProgressState, rejected: int, hint: int, genuine: bool, next_index: int
) -> None:
    pr = progress(state)
    assert pr.retreat(rejected, hint) is genuine
    assert pr.next == next_index


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 30)), max_size=40))
def test_match_stays_below_next(script: list[tuple[str, int]]) -> None:
    pr = Progress(next=1, inflights=Inflights(3))
    for what, number in script:
        before = pr.match
        if what == "a":
            pr.acknowledge(number)
        elif what == "b":
            pr.retreat(number, number // 2)
        elif what == "c":
            pr.become_probe()
        elif what == "d":
            pr.become_replicate()
        elif what == "e" and number > pr.match:
            pr.become_snapshot(number)
        elif what == "f" and not pr.is_paused:
            pr.sent_entries(number % 3, number)
        assert before <= pr.match < pr.next
        assert pr.is_paused or pr.state is not ProgressState.SNAPSHOT


def test_text() -> None:
    pr = progress(ProgressState.REPLICATE, next_index=6)
    pr.is_learner, pr.recent_active = True, False
    pr.sent_entries(1, 1)
    assert str(pr) == "StateReplicate match=5 next=7 learner inactive inflight=1"
