from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.kernel import fragment
from tools.kernel.errors import FragmentError
from tools.kernel.fragment import Ask

SYMBOLS = st.from_regex(r"[A-Z0-9][A-Z0-9_]{0,20}", fullmatch=True)
VALUES = st.one_of(
    st.sampled_from(["y", "n"]),
    st.integers(-(2**31), 2**31).map(str),
    st.integers(0, 2**64).map(hex),
    st.from_regex(r'"[a-z0-9 =,.#/-]*"', fullmatch=True),
)
REASONS = st.from_regex(r"[A-Za-z][A-Za-z0-9 ,:#=-]*[a-z]", fullmatch=True)


@given(SYMBOLS, VALUES, REASONS, st.booleans())
def test_what_is_rendered_is_read_back(symbol: str, value: str, reason: str, over: bool) -> None:
    ask = Ask(symbol, value, reason, "f.config:1", over)
    assert fragment.parse(ask.render(), "f.config").asks == (ask,)


def test_comments_and_blank_lines_are_free() -> None:
    text = "# Networks.\n\nCONFIG_VETH=y  # a cable\n"
    assert fragment.parse(text, "net.config").asks == (Ask("VETH", "y", "a cable", "net.config:3"),)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param("CONFIG_VETH=y", "CONFIG_VETH has no reason", id="no reason"),
        pytest.param("CONFIG_VETH=y  # 1", "CONFIG_VETH has no reason", id="empty reason"),
        pytest.param("CONFIG_VETH=y # why", "not a line", id="one space"),
        pytest.param("CONFIG_VETH=m  # why", "asks for a module", id="module"),
        pytest.param("CONFIG_VETH=yes  # why", "has the value yes", id="bad value"),
        pytest.param("CONFIG_VETH=007  # why", "has the value 007", id="octal"),
        pytest.param("VETH=y  # why", "not a line", id="no prefix"),
        pytest.param("# CONFIG_VETH is not set\nx", "f.config:2", id="place"),
        pytest.param('CONFIG_LSM="a  # why', "not a line", id="open string"),
        pytest.param(" CONFIG_VETH=y  # why", "not a line", id="indented"),
        pytest.param("overrideCONFIG_VETH=y  # why", "not a line", id="glued override"),
    ],
)
def test_malformed_lines_are_named(line: str, says: str) -> None:
    with pytest.raises(FragmentError, match="f.config:") as caught:
        fragment.parse(line, "f.config")
    assert says in caught.value.message


def test_a_directory_is_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "20-b.config").write_text("CONFIG_B=y  # b\n")
    (tmp_path / "10-a.config").write_text("CONFIG_A=y  # a\n")
    (tmp_path / "notes.txt").write_text("free text")
    names = [one.name for one in fragment.load_directory(tmp_path)]
    assert names == ["10-a.config", "20-b.config"]


def test_an_empty_directory_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FragmentError, match="holds no fragment"):
        fragment.load_directory(tmp_path)


def test_binary_rubbish_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.config").write_bytes(b"\xff\xfe")
    with pytest.raises(FragmentError, match="a.config is not UTF-8"):
        fragment.load_directory(tmp_path)
