"""The runner must notice what it is there to notice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conformance.raft.datadriven import Argument, parse
from tests.conformance.raft.runner import comparable, main, run_file

TRACE = """\
# A comment, then a command with input.
log-level none
----
ok

add-nodes 1 voters=(1) index=2
----
ok

log-level debug
----
ok

campaign 1
----
INFO any wording will do

raft-state
----
1: StateCandidate (Voter) Term:1 Lead:0
"""


def write(directory: Path, text: str) -> Path:
    path = directory / "trace.txt"
    path.write_text(text)
    return path


def test_log_lines_are_not_compared(tmp_path: Path) -> None:
    assert run_file(write(tmp_path, TRACE)) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("StateCandidate", "StateLeader", id="state"),
        pytest.param("Term:1 Lead:0\n", "Term:1 Lead:0\nmore\n", id="line-missing"),
        pytest.param("campaign 1\n----\nINFO any", "campaign 1\n----\nother", id="line-added"),
        pytest.param("raft-state", "no-such-command", id="command"),
    ],
)
def test_differences_are_found(tmp_path: Path, old: str, new: str) -> None:
    mismatches = run_file(write(tmp_path, TRACE.replace(old, new)))
    assert len(mismatches) == 1
    assert "trace.txt" in str(mismatches[0])


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    write(tmp_path, TRACE)
    assert main([str(tmp_path)]) == 0
    write(tmp_path, TRACE.replace("Term:1", "Term:2"))
    assert main([str(tmp_path)]) == 1
    assert "0 of 1 traces pass" in capsys.readouterr().out


def test_arguments() -> None:
    (case,) = parse("deliver-msgs 1 drop=(2,3) \\\n  type=MsgApp\ninput\n----\nout\n")
    assert case.arguments == (
        Argument("1"),
        Argument("drop", ("2", "3")),
        Argument("type", ("MsgApp",)),
    )
    assert (case.input, case.expected, case.line) == ("input", "out", 1)


def test_fenced_output_may_hold_blank_lines() -> None:
    (case,) = parse("cmd\n----\n----\na\n\nb\n----\n----\n")
    assert case.expected == "a\n\nb"


def test_a_command_without_output_is_refused() -> None:
    with pytest.raises(ValueError, match="line 1: no ----"):
        list(parse("cmd\n"))


def test_ok_is_no_output() -> None:
    assert comparable("ok") == comparable("  INFO x\n") == []
