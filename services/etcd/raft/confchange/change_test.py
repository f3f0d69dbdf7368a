"""Changes as text and as entry data."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.raft.confchange import (
    ChangeSingle,
    ChangeType,
    ConfChange,
    ConfChangeV2,
    Transition,
    change_of_entry,
)
from services.etcd.raft.confchange.change import format_changes, parse_changes
from services.etcd.raft.errors import ConfChangeError
from services.etcd.raft.model import Entry, EntryType

numbers = st.integers(0, (1 << 64) - 1)
kinds = st.sampled_from(ChangeType)
singles = st.builds(ChangeSingle, kinds, numbers)
first = st.builds(ConfChange, kinds, numbers, st.binary(), numbers)
second = st.builds(
    ConfChangeV2, st.lists(singles).map(tuple), st.sampled_from(Transition), st.binary()
)


@given(st.one_of(first, second))
def test_entry_data_holds_everything(change: ConfChange | ConfChangeV2) -> None:
    assert change_of_entry(Entry(1, 1, *change.entry())) == change


@given(st.lists(singles).map(tuple))
def test_text_holds_everything(changes: tuple[ChangeSingle, ...]) -> None:
    assert parse_changes(format_changes(changes)) == changes


@given(st.sampled_from((EntryType.CONF_CHANGE, EntryType.CONF_CHANGE_V2)), st.binary())
def test_any_data_is_read_or_refused(kind: EntryType, data: bytes) -> None:
    with suppress(ConfChangeError):
        change_of_entry(Entry(1, 1, kind, data))


@pytest.mark.parametrize(
    ("change", "data"),
    [
        pytest.param(ConfChange(ChangeType.ADD_NODE, 3), "10001803", id="add"),
        pytest.param(
            ConfChange(ChangeType.REMOVE_NODE, 300, b"x", 7), "0807100118ac02220178", id="full"
        ),
        pytest.param(ConfChangeV2(), "", id="leave"),
        pytest.param(
            ConfChangeV2((ChangeSingle(ChangeType.ADD_LEARNER_NODE, 4),)),
            "0800120408031004",
            id="second",
        ),
    ],
)
def test_wire_form(change: ConfChange | ConfChangeV2, data: str) -> None:
    assert change.entry()[1].hex() == data


@pytest.mark.parametrize("data", ["08", "1203", "0880", "0f", "1005", "0a0100", "2005"])
def test_malformed_data_is_refused(data: str) -> None:
    with pytest.raises(ConfChangeError):
        ConfChangeV2.decode(bytes.fromhex(data + "10ff" * data.startswith("20")))


@pytest.mark.parametrize("text", ["x1", "v", "1", "v-1", "vx"])
def test_malformed_text_is_refused(text: str) -> None:
    with pytest.raises(ConfChangeError):
        parse_changes(text)


@pytest.mark.parametrize(
    ("change", "enters", "leaves"),
    [
        pytest.param(ConfChangeV2(), False, True, id="empty"),
        pytest.param(ConfChangeV2(parse_changes("v1")), False, False, id="one"),
        pytest.param(ConfChangeV2(parse_changes("v1 v2")), True, False, id="two"),
        pytest.param(
            ConfChangeV2(parse_changes("v1"), Transition.JOINT_EXPLICIT), True, False, id="asked"
        ),
    ],
)
def test_joint(change: ConfChangeV2, enters: bool, leaves: bool) -> None:
    assert (change.enters_joint, change.leaves_joint) == (enters, leaves)
