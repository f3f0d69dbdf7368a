from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from tools.proc import (
    FIXED_ENV,
    Output,
    ProgramFailed,
    ProgramNotFound,
    ProgramTimeout,
    network_env,
    run,
)


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


def test_streams_and_status_are_returned() -> None:
    done = run(sh("echo out; echo err >&2; exit 3"), check=False)
    assert (done.stdout, done.stderr, done.returncode) == (b"out\n", b"err\n", 3)
    assert done.text == "out\n"


def test_the_environment_is_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_CANARY", "1")
    seen = dict(
        line.split("=", 1) for line in run(["/usr/bin/env"], env={"A": "b"}).text.splitlines()
    )
    assert seen == {**FIXED_ENV, "A": "b"}


def test_network_env_takes_only_what_the_network_needs() -> None:
    env = {"https_proxy": "p", "SSL_CERT_FILE": "c", "EDITOR": "vi"}
    assert network_env(env) == {"https_proxy": "p", "SSL_CERT_FILE": "c"}


def test_large_input_and_output_do_not_deadlock() -> None:
    data = os.urandom(3 << 20)
    assert run(["/bin/cat"], stdin=data).stdout == data


def test_input_that_is_not_read_is_no_error() -> None:
    assert run(sh("exec true"), stdin=b"x" * (1 << 20)).returncode == 0


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("echo boom >&2; exit 2", "sh failed with status 2: boom", id="stderr"),
        pytest.param("echo only; exit 1", "sh failed with status 1: only", id="stdout"),
        pytest.param("exit 9", "sh failed with status 9, and said nothing", id="silent"),
        pytest.param("kill -SEGV $$", "sh was ended by SIGSEGV, and said nothing", id="signal"),
    ],
)
def test_failure_reads_as_one_line(script: str, message: str) -> None:
    with pytest.raises(ProgramFailed) as caught:
        run(sh(script))
    assert caught.value.message == message
    assert "/bin/sh -c" in caught.value.hint


@pytest.mark.parametrize(
    "path", ["/nonexistent/program", "/etc/passwd"], ids=["missing", "not-executable"]
)
def test_a_program_that_cannot_run_is_named(path: str) -> None:
    with pytest.raises(ProgramNotFound, match=path):
        run([path])


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProgramNotFound, match="no such directory"):
        run(["/bin/true"], cwd=tmp_path / "gone")


def test_lines_arrive_whole_including_the_last() -> None:
    seen: list[str] = []
    run(sh("printf 'a\\nb'; printf 'c\\r\\nd'"), on_line=seen.append)
    assert seen == ["a", "bc", "d"]


def test_discard_keeps_only_the_end_of_stderr() -> None:
    with pytest.raises(ProgramFailed) as caught:
        run(sh("seq 200000 >&2; echo last >&2; exit 1"), output=Output.DISCARD)
    assert caught.value.tail.endswith("\nlast\n")


def test_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"
    with pytest.raises(ProgramTimeout, match=r"0\.5 s"):
        run(sh(f"sleep 100 & echo $! > {pidfile}; wait"), timeout=0.5)
    assert not _alive(int(pidfile.read_text()))


def test_interrupt_ends_the_program(tmp_path: Path) -> None:
    pidfile = tmp_path / "pid"

    def interrupt(line: str) -> None:
        pidfile.write_text(line)
        signal.raise_signal(signal.SIGINT)

    assert threading.current_thread() is threading.main_thread()
    with pytest.raises(KeyboardInterrupt):
        run(sh("echo $$; exec sleep 100"), on_line=interrupt)
    assert not _alive(int(pidfile.read_text()))


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
