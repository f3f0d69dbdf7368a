"""Boot an image once, headless, and say whether it came up as it should.

Times are seconds since the machine was switched on (QEMU's process was started), so they
hold firmware, boot loader and kernel.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.vm import probe
from tools.vm.errors import VmError
from tools.vm.image import Image
from tools.vm.launch import Options, launched
from tools.vm.machine import Machine
from tools.vm.programs import Programs
from tools.vm.qmp import Event

LOGIN = r"\blogin:$"
PANIC = r"Kernel panic - not syncing"
_SAME_RESET_S = 1.0
EMERGENCY = r"You are in (?:emergency|rescue) mode"


@dataclass(frozen=True, slots=True)
class BootReport:
    """What one boot showed. Times are seconds since power-on, memory is MiB."""

    version: str
    mode: str
    accel: str
    qemu: str
    memory: int
    cpus: int
    kernel_start: float | None = None
    preinit: float | None = None
    systemd: float | None = None
    login: float | None = None
    running: float | None = None
    ssh: float | None = None
    memory_total: float | None = None
    memory_available: float | None = None
    state: str = ""
    failed_units: tuple[str, ...] = ()
    resets: int = 0
    clean_shutdown: bool | None = None
    problems: tuple[str, ...] = ()
    log: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    @property
    def memory_used(self) -> float | None:
        """What the machine was given minus what is available to programs, when idle."""
        return None if self.memory_available is None else self.memory - self.memory_available

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        values = dataclasses.asdict(self)
        used = self.memory_used
        return {
            **values,
            "memory_used": None if used is None else round(used, 1),
            "ok": self.ok,
        }

    def to_json(self) -> str:
        """The JSON text."""
        return json.dumps(self.as_dict(), indent=1, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long to wait. Generous: a busy computer is not an unhealthy image."""

    login: float = 300.0
    report: float = 240.0
    ssh: float = 120.0
    settle: int = 10
    """Seconds between the end of the start and the measurement of memory."""


def boot_check(
    directory: Path,
    options: Options,
    programs: Programs,
    *,
    limits: Limits | None = None,
    base: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> BootReport:
    """Boot the image of a build's directory and look at it; the machine is off afterwards.

    Raises:
        VmError: the machine could not be started at all. What the guest does wrong is in
            the report's `problems` instead.
    """
    limits = limits or Limits()
    options = dataclasses.replace(
        options, credentials=(*options.credentials, *probe.credentials(limits.settle))
    )
    image = Image.load(directory)
    with launched(image, options, programs, base=base, say=say) as machine:
        return examine(machine, "direct" if options.direct else "uefi", limits, say)


def examine(machine: Machine, mode: str, limits: Limits, say: Callable[[str], None]) -> BootReport:
    """Watch a machine that was just switched on until it is idle, then switch it off."""
    spec = machine.spec
    report = BootReport(
        version="",
        mode=mode,
        accel=spec.accel.value,
        qemu=machine.qemu_version,
        memory=spec.memory,
        cpus=spec.cpus,
        log=str(machine.log),
    )
    steps = (_to_login, _to_report, _to_ssh)
    for step in steps:
        try:
            report = step(machine, report, limits, say)
        except VmError as error:
            # What the console said last explains most failures; later steps would only wait.
            problem = f"{error.message}: {error.hint}" if error.hint else error.message
            return _final(dataclasses.replace(report, problems=(*report.problems, problem)))
    clean = machine.shutdown()
    return _final(dataclasses.replace(report, clean_shutdown=clean))


def _to_login(
    machine: Machine, report: BootReport, limits: Limits, say: Callable[[str], None]
) -> BootReport:
    match = machine.console.wait_for([PANIC, EMERGENCY, LOGIN], limits.login)
    if match.pattern != LOGIN:
        raise VmError(f"the console showed “{match.line.text}” at {match.line.at:.1f} s")
    say(f"login prompt after {match.line.at:.1f} s")
    return dataclasses.replace(report, login=round(match.line.at, 2))


def _to_report(
    machine: Machine, report: BootReport, limits: Limits, say: Callable[[str], None]
) -> BootReport:
    machine.probe.wait_for(probe.END, limits.report)
    try:
        guest = probe.parse(machine.probe.text)
    except ValueError as error:
        raise VmError(str(error)) from error
    start = probe.kernel_start(machine.probe.lines, guest)
    say(f"{guest.state}, {len(guest.failed_units)} failed units")
    return dataclasses.replace(
        report,
        version=guest.version,
        kernel_start=round(start, 2),
        preinit=None if guest.preinit is None else round(start + guest.preinit, 2),
        systemd=round(start + guest.userspace, 2),
        running=round(start + guest.finished, 2) if guest.finished else None,
        memory_total=round(guest.memory_total / 1024, 1),
        memory_available=round(guest.memory_available / 1024, 1),
        state=guest.state,
        failed_units=guest.failed_units,
        resets=resets(machine.monitor.events()),
    )


def _to_ssh(
    machine: Machine, report: BootReport, limits: Limits, say: Callable[[str], None]
) -> BootReport:
    if not machine.spec.network:
        return report
    machine.wait_ssh(limits.ssh)
    done = machine.ssh("true", check=False, timeout=limits.ssh)
    if done.returncode != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise VmError(f"core cannot log in by ssh: {said or done.returncode}")
    say(f"ssh as core works after {machine.now():.1f} s")
    return dataclasses.replace(report, ssh=round(machine.now(), 2))


def resets(events: Sequence[Event]) -> int:
    """How often the guest reset itself; QEMU may tell of one reset twice in a moment."""
    times = [event.at for event in events if event.name == "RESET" and event.data.get("guest")]
    return sum(
        at - before > _SAME_RESET_S for before, at in zip([-1e9, *times], times, strict=False)
    )


def _final(report: BootReport) -> BootReport:
    problems = list(report.problems)
    if report.state not in ("running", ""):
        problems.append(f"systemd says {report.state}")
    problems += [f"unit {unit} failed" for unit in report.failed_units]
    if report.resets:
        problems.append(f"the machine was reset {report.resets} times before it was up")
    if report.clean_shutdown is False:
        problems.append("the machine did not switch off when asked to")
    return dataclasses.replace(report, problems=tuple(problems))
