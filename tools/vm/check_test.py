from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools.vm.check import BootReport, Limits, examine, resets
from tools.vm.errors import VmTimeout
from tools.vm.probe_test import REPORT
from tools.vm.qmp import Event
from tools.vm.serial import Serial
from tools.vm.spec import Direct, VmSpec

HEALTHY = REPORT.replace("degraded", "running").replace("failed=", "x=")
NOW = Limits(login=0, report=0, ssh=0)


@dataclass
class FakeMachine:
    """A machine whose consoles were written beforehand."""

    console: Serial
    probe: Serial
    monitor: Any
    spec: VmSpec = VmSpec("t", Direct(Path("/k"), ""))
    qemu_version: str = "10.0"
    log: Path = Path("/log")
    ssh_status: int = 0
    answers: bool = True
    obeys: bool = True

    def wait_ssh(self, _timeout: float) -> float:
        if not self.answers:
            raise VmTimeout("the ssh server did not answer")
        return 12.0

    def ssh(self, _command: str, **_options: Any) -> Any:
        return SimpleNamespace(returncode=self.ssh_status, stderr=b"Permission denied")

    def now(self) -> float:
        return 12.5

    def shutdown(self) -> bool:
        return self.obeys


class Examiner:
    """Builds fake machines and examines them."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def serial(self, text: str) -> Serial:
        ours, theirs = socket.socketpair()
        serial = Serial(ours, time.monotonic())
        self._stack.callback(serial.close)
        self._stack.callback(theirs.close)
        theirs.sendall(text.encode() + b"\nwritten")
        serial.wait_for("^written", 60)
        return serial

    def __call__(
        self, console: str, probe: str = HEALTHY, events: list[Event] | None = None, **rest: Any
    ) -> BootReport:
        monitor = SimpleNamespace(events=lambda: events or [])
        machine = FakeMachine(self.serial(console), self.serial(probe), monitor, **rest)
        return examine(machine, "uefi", NOW, lambda _: None)  # type: ignore[arg-type]


@pytest.fixture
def check() -> Iterator[Examiner]:
    with ExitStack() as stack:
        yield Examiner(stack)


def test_a_healthy_machine(check: Examiner) -> None:
    report = check("strake login:")
    assert report.ok
    assert (report.state, report.version, report.ssh) == ("running", "1.0.0", 12.5)
    assert report.memory_used == pytest.approx(512 - 430000 / 1024, abs=0.1)
    assert report.login is not None
    assert report.systemd is not None and report.kernel_start is not None
    assert report.systemd - report.kernel_start == pytest.approx(2.5, abs=0.02)
    assert json.loads(report.to_json())["ok"] is True


def test_failed_units_are_named(check: Examiner) -> None:
    report = check("strake login:", REPORT)
    assert report.problems == (
        "systemd says degraded",
        "unit a.service failed",
        "unit b.service failed",
    )


@pytest.mark.parametrize(
    ("console", "rest", "problem"),
    [
        pytest.param("stuck", {}, "did not show", id="no-login"),
        pytest.param("[ 1.0] Kernel panic - not syncing: VFS", {}, "VFS” at", id="panic"),
        pytest.param("You are in emergency mode.", {}, "emergency", id="emergency"),
        pytest.param("login:", {"probe": ""}, "STRAKE-END", id="no-report"),
        pytest.param("login:", {"probe": "STRAKE-END"}, "not whole", id="half-a-report"),
        pytest.param("login:", {"answers": False}, "did not answer", id="no-ssh"),
        pytest.param("login:", {"ssh_status": 255}, "Permission denied", id="ssh-refuses"),
        pytest.param("login:", {"obeys": False}, "did not switch off", id="does-not-stop"),
    ],
)
def test_what_is_wrong_is_said(
    check: Examiner, console: str, rest: dict[str, Any], problem: str
) -> None:
    report = check(console, **rest)
    assert not report.ok
    assert problem in " ".join(report.problems)


def test_a_machine_without_a_network_needs_no_ssh(check: Examiner) -> None:
    spec = replace(FakeMachine.spec, network=False)
    assert check("login:", spec=spec, answers=False).ok


def event(name: str, at: float, guest: bool = True) -> Event:
    return Event(name, {"guest": guest}, at)


@pytest.mark.parametrize(
    ("events", "count"),
    [
        pytest.param([], 0, id="none"),
        pytest.param([event("RESET", 1, guest=False)], 0, id="by-the-host"),
        pytest.param([event("RESET", 1)], 1, id="one"),
        pytest.param([event("RESET", 1.0), event("RESET", 1.1)], 1, id="one-told-twice"),
        pytest.param([event("RESET", 1), event("RESET", 9)], 2, id="two"),
        pytest.param([event("SHUTDOWN", 1)], 0, id="other"),
    ],
)
def test_resets_are_counted(events: list[Event], count: int) -> None:
    assert resets(events) == count


def test_a_reset_before_the_login_is_a_problem(check: Examiner) -> None:
    report = check("login:", events=[event("RESET", 1)])
    assert report.problems == ("the machine was reset 1 times before it was up",)
