"""Text forms that recorded traces do not show."""

from __future__ import annotations

import pytest

from services.etcd.raft import describe
from services.etcd.raft.model import Entry, EntryType, MessageType, ReadState, Ready


@pytest.mark.parametrize(
    ("data", "text"),
    [
        pytest.param(b"", '""', id="empty"),
        pytest.param(b'a"\\\n\t', '"a\\"\\\\\\n\\t"', id="escapes"),
        pytest.param(b"\x00\x7f", '"\\x00\\x7f"', id="control"),
        pytest.param("é€".encode(), '"é€"', id="unicode"),
        pytest.param(b"\xff\xc3", '"\\xff\\xc3"', id="no-text"),
    ],
)
def test_data_is_quoted(data: bytes, text: str) -> None:
    assert describe.quote(data) == text


def test_a_change_that_cannot_be_read_says_why() -> None:
    assert "cut short" in describe.entry(Entry(1, 2, EntryType.CONF_CHANGE, b"\x22\x05"))


def test_read_states() -> None:
    ready = Ready(None, None, (ReadState(3, b"ab"),), (), None, (), (), False)
    assert describe.ready(ready) == "Ready MustSync=false:\nReadStates [{3 [97 98]}]\n"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (MessageType.APP_RESP, "MsgAppResp"),
        (MessageType.PRE_VOTE, "MsgPreVote"),
        (MessageType.STORAGE_APPLY_RESP, "MsgStorageApplyResp"),
        (MessageType.TIMEOUT_NOW, "MsgTimeoutNow"),
    ],
)
def test_message_names(kind: MessageType, text: str) -> None:
    assert kind.text == text
