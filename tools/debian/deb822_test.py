from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.debian import deb822
from tools.debian.deb822 import Deb822Error

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

NAMES = st.text(alphabet="abcdefghijklmnopqrstuvwxyz-", min_size=1, max_size=12).filter(
    lambda name: not name.startswith("-")
)
LINES = st.text(
    alphabet=st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs")),
    max_size=20,
).filter(lambda line: line != ".")
VALUES = st.lists(LINES, min_size=1, max_size=4).map("\n".join)
STANZAS = st.dictionaries(NAMES, VALUES, min_size=1, max_size=5)


@UNTIMED
@given(STANZAS)
def test_what_is_dumped_reads_back(fields: dict[str, str]) -> None:
    assert deb822.parse(deb822.dump(fields)) == fields


@UNTIMED
@given(st.lists(STANZAS, max_size=4))
def test_files_of_several_read_back(fields: list[dict[str, str]]) -> None:
    text = "\n".join(deb822.dump(stanza) for stanza in fields)
    assert list(deb822.stanzas(text)) == fields


def test_reads_continuations_comments_and_dots() -> None:
    text = "Package: a\n# no\nDescription: short\n long\n .\n  indented\n"
    assert deb822.parse(text) == {"package": "a", "description": "short\nlong\n\n indented"}


def test_splits_at_lines_that_only_look_empty() -> None:
    assert list(deb822.stanzas("\nA: 1\n \nB: 2\r\n\r\nC: 3\n\n\n")) == [
        {"a": "1"},
        {"b": "2"},
        {"c": "3"},
    ]


def test_a_block_of_comments_is_no_stanza() -> None:
    assert list(deb822.stanzas("# nothing\n\nA: 1\n\n# at all\n")) == [{"a": "1"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Package", "not a field"),
        (": x", "not a field"),
        ("Two words: x", "not a field"),
        (" late", "before any field"),
        ("A: 1\na: 2", "there twice"),
    ],
)
def test_refuses(text: str, message: str) -> None:
    with pytest.raises(Deb822Error, match=message):
        deb822.parse(text)
