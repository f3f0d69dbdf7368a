from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.console import Console

from tools.cli.app import COMMANDS, strake
from tools.cli.pants import Line, LogFollower, explain
from tools.cli.progress import Durations, Progress, StepRow, shown


def test_help_names_every_command_without_importing_them() -> None:
    result = CliRunner().invoke(strake, ["--help"])
    assert result.exit_code == 0
    for name, entry in COMMANDS.items():
        assert f"{name} " in result.output and entry.summary.split()[0] in result.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_that_teaches(name: str) -> None:
    result = CliRunner().invoke(strake, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert len(result.output.splitlines()) > 5


def test_an_unknown_command_is_wrong_usage() -> None:
    result = CliRunner().invoke(strake, ["frobnicate"])
    assert result.exit_code == 2
    assert "No such command 'frobnicate'" in result.output


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        pytest.param(
            "12:00 [INFO] x\nstderr:\nerror: os/kernel:kernel: no such symbol X\nhint: remove it\n",
            "os/kernel:kernel: no such symbol X",
            "remove it",
            id="error-of-a-step",
        ),
        pytest.param("error: first\nhint: a\nerror: last\n", "last", "", id="last-error-wins"),
        pytest.param(
            "[ERROR] 1 Exception:\nException: boom\n\nUse --print-stacktrace for more\n",
            "t could not be built: Exception: boom",
            "run ./pants package t to see all that was printed",
            id="error-of-pants",
        ),
        pytest.param(
            "",
            "t could not be built: no reason given",
            "run ./pants package t to see all that was printed",
            id="silence",
        ),
    ],
)
def test_explain(said: str, message: str, hint: str) -> None:
    error = explain("t", said)
    assert (error.message, error.hint) == (message, hint)


def test_the_follower_reports_new_whole_lines_only(tmp_path: Path) -> None:
    old = tmp_path / "old-step.log"
    old.write_text("1.0 stale\n")
    seen: list[Line] = []
    follower = LogFollower(tmp_path, seen.append)
    with old.open("a") as file:
        file.write("2.0 fresh\n2.1 half")
    (tmp_path / "new-step.log").write_text("3.0 a b\n")
    follower._poll()
    assert seen == [Line("new-step", "a b"), Line("old-step", "fresh")]
    with old.open("a") as file:
        file.write(" line\n")
    follower._poll()
    assert seen[2:] == [Line("old-step", "half line")]


def test_a_log_that_starts_again_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "a-step.log"
    log.write_text("1.0 a long line of the last run\n")
    seen: list[Line] = []
    follower = LogFollower(tmp_path, seen.append)
    log.write_text("2.0 again\n")
    follower._poll()
    assert seen == [Line("a-step", "again")]


def test_a_row_ends_with_its_step() -> None:
    row = StepRow("s", 10.0)
    row.hear("working", 11.0)
    assert (row.ended, row.seconds(15.0)) == (None, 5.0)
    row.hear("done in 3.0 s", 13.0)
    assert row.seconds(99.0) == 3.0


def test_durations_are_kept_and_damage_is_survived(tmp_path: Path) -> None:
    path = tmp_path / "d/durations.json"
    Durations(path).learn("kernel", 600.04)
    assert Durations(path).left("kernel", 100.0) == pytest.approx(500.0)
    assert Durations(path).left("kernel", 700.0) is None
    assert Durations(path).left("other", 1.0) is None
    path.write_text("[1")
    assert Durations(path).left("kernel", 1.0) is None


def test_progress_without_a_terminal_prints_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Progress(Durations(tmp_path / "d.json"), Console(force_terminal=False)) as progress:
        progress.report(Line("os.kernel-kernel", "compile"))
        progress.report(Line("os.kernel-kernel", "done in 1.0 s"))
    assert "os/kernel:kernel: compile" in capsys.readouterr().err
    assert progress.ran == 1


def test_a_terminal_gets_a_table(tmp_path: Path) -> None:
    console = Console(force_terminal=True, width=100, record=True, file=(tmp_path / "o").open("w"))
    with Progress(Durations(tmp_path / "d.json"), console) as progress:
        progress.report(Line("os.kernel-kernel", "CC init/main.o"))
        console.print(progress._table())
    assert "os/kernel:kernel" in console.export_text()


@pytest.mark.parametrize(
    ("step", "address"),
    [("os.image-strake", "os/image:strake"), ("plain", "plain")],
    ids=["address", "other"],
)
def test_shown(step: str, address: str) -> None:
    assert shown(step) == address
