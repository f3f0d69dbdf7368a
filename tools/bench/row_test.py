from __future__ import annotations

import pytest

from tools.bench import Row, table


@pytest.mark.parametrize(
    ("row", "met"),
    [
        pytest.param(Row("a", 1.0, "s", 2.0), True, id="below"),
        pytest.param(Row("a", 2.0, "s", 2.0), True, id="equal"),
        pytest.param(Row("a", 2.1, "s", 2.0), False, id="above"),
        pytest.param(Row("a", 2.1, "s"), None, id="no-limit"),
    ],
)
def test_met(row: Row, met: bool | None) -> None:
    assert row.met is met
    assert row.as_dict()["met"] is met


def test_table_is_aligned_and_marks_what_is_over() -> None:
    text = table([Row("boot", 12.34, "s", 13.0), Row("memory", 90, "MB", 80, "idle")])
    first, second, third = text.splitlines()
    assert first.startswith("what") and "limit" in first
    assert "12.3 s" in second and "ok" in second
    assert "OVER" in third and third.endswith("idle")
    assert second.index("13 s") + len("13 s") == third.index("80 MB") + len("80 MB")
