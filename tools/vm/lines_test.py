from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.vm.lines import MAX_LINE, Line, LineSplitter


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(b"plain\n", "plain", id="plain"),
        pytest.param(b"dos\r\n", "dos", id="carriage-return"),
        pytest.param(b"[\x1b[0;32m  OK  \x1b[0m] Started\n", "[  OK  ] Started", id="colour"),
        pytest.param(b"\x1b[2J\x1b[01;01H\x1b[=3hBdsDxe\n", "BdsDxe", id="firmware"),
        pytest.param(b"\x1b]0;title\x07shell\n", "shell", id="title-bell"),
        pytest.param(b"\x1b]3008;start=1\x1b\\shell\n", "shell", id="title-terminator"),
        pytest.param(b"\x1b(B\x1b[mx\n", "x", id="charset"),
        pytest.param(b"\x1bc\x1b7y\n", "y", id="two-byte"),
        pytest.param("größe\n".encode(), "größe", id="utf-8"),
        pytest.param(b"\xffbad\n", "�bad", id="not-utf-8"),
    ],
)
def test_lines_are_cleaned(raw: bytes, text: str) -> None:
    assert LineSplitter().feed(raw, 1.0) == [Line(1.0, text)]


def test_blank_lines_are_left_out() -> None:
    assert LineSplitter().feed(b"\r\n \n\x1b[0m\n", 0.0) == []


def test_a_line_carries_the_time_of_its_first_byte() -> None:
    splitter = LineSplitter()
    assert splitter.feed(b"a\nb", 1.0) == [Line(1.0, "a")]
    assert splitter.feed(b"c\nd", 2.0) == [Line(1.0, "bc")]
    assert splitter.feed(b"\n", 3.0) == [Line(2.0, "d")]
    assert splitter.feed(b"e\n", 4.0) == [Line(4.0, "e")]


def test_a_prompt_is_pending() -> None:
    splitter = LineSplitter()
    splitter.feed(b"hello\n\x1b[1mstrake login:\x1b[0m ", 5.0)
    assert splitter.pending == "strake login:"
    splitter.feed(b"\x1b[3", 6.0)
    assert splitter.pending == "strake login:"


def test_the_last_line_may_lack_an_end() -> None:
    splitter = LineSplitter()
    splitter.feed(b"tail", 1.0)
    assert splitter.close() == [Line(1.0, "tail")]
    assert splitter.close() == []


def test_an_endless_line_is_cut() -> None:
    splitter = LineSplitter()
    lines = splitter.feed(b"x" * (2 * MAX_LINE + 1), 0.0)
    assert [len(line.text) for line in lines] == [MAX_LINE, MAX_LINE]
    assert splitter.pending == "x"


def test_a_line_prints_with_its_time() -> None:
    assert str(Line(1.5, "up")) == "   1.500 up"


@given(
    st.lists(st.text("ab \x1b[0m\r\n;", max_size=20).map(str.encode), max_size=8),
)
def test_how_bytes_are_cut_does_not_matter(chunks: list[bytes]) -> None:
    whole, parts = LineSplitter(), LineSplitter()
    want = whole.feed(b"".join(chunks), 0.0) + whole.close()
    got = [line for chunk in chunks for line in parts.feed(chunk, 0.0)] + parts.close()
    assert got == want


@given(st.binary(max_size=200))
def test_no_bytes_upset_it(data: bytes) -> None:
    splitter = LineSplitter()
    for line in splitter.feed(data, 0.0) + splitter.close():
        assert "\n" not in line.text
        assert line.text.strip()
