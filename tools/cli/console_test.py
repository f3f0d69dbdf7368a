from __future__ import annotations

import pytest

from tools.cli.console import Keys


@pytest.mark.parametrize(
    ("typed", "sent", "leave"),
    [
        pytest.param([b"ls\r"], b"ls\r", False, id="plain"),
        pytest.param([b"\x01x"], b"", True, id="leave"),
        pytest.param([b"ab\x01X", b"never"], b"ab", True, id="leave-after-text"),
        pytest.param([b"\x01", b"x"], b"", True, id="split-over-reads"),
        pytest.param([b"\x01\x01"], b"\x01", False, id="literal-escape"),
        pytest.param([b"\x01e"], b"\x01e", False, id="other-key-is-sent-on"),
        pytest.param([b"\x03\x1a"], b"\x03\x1a", False, id="interrupt-is-the-guests"),
    ],
)
def test_keys(typed: list[bytes], sent: bytes, leave: bool) -> None:
    keys, out, left = Keys(), b"", False
    for data in typed:
        if not left:
            part, left = keys.feed(data)
            out += part
    assert (out, left) == (sent, leave)
