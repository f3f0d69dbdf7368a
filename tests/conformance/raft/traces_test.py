"""Every recorded trace, those kept here and those below STRAKE_RAFT_TRACES."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.conformance.raft.runner import run_file, traces_below

KEPT = Path(__file__).parent / "traces"
GIVEN = os.environ.get("STRAKE_RAFT_TRACES", "")


def cases() -> list[object]:
    directories = [KEPT, *([Path(GIVEN)] if GIVEN else [])]
    return [
        pytest.param(path, id=str(path.relative_to(directory)))
        for directory in directories
        for path in traces_below(directory)
    ]


@pytest.mark.parametrize("path", cases())
def test_trace(path: Path) -> None:
    assert "\n".join(map(str, run_file(path))) == ""


def test_traces_are_found() -> None:
    assert len(traces_below(KEPT)) == 41
