"""Measure what a running image costs: time to login, memory, disk. See `./strake bench image`.

Times are taken under pure emulation, which any machine has and which is the promise; they
depend on the computer, so the median of some boots is what counts.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable
from pathlib import Path

from tools.bench import Row
from tools.vm.check import BootReport, Limits, boot_check
from tools.vm.image import Image
from tools.vm.launch import Options
from tools.vm.programs import Programs
from tools.vm.spec import Accel

_BASE = Options(name="bench", memory=512, accel=Accel.TCG)
LOGIN_S, IDLE_MIB, SLOT_MB = 13.0, 80.0, 130.0
SMALLEST = ((True, 96), (False, 128))
"""Direct boot or not, and the memory in MiB in which it still has to reach the login."""


def rows(
    directory: Path,
    programs: Programs,
    boots: int = 3,
    say: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """All rows for the image in a directory, from that many boots of each kind.

    Raises:
        VmError: a machine could not be started.
    """
    found = []
    for direct in (False, True):
        options = dataclasses.replace(_BASE, direct=direct)
        reports = [
            _boot(directory, options, programs, say, f"{_way(direct)} {number + 1} of {boots}")
            for number in range(boots)
        ]
        found += _times(reports, direct)
    for direct, memory in SMALLEST:
        options = dataclasses.replace(_BASE, direct=direct, memory=memory)
        report = _boot(directory, options, programs, say, f"{_way(direct)} in {memory} MiB")
        found.append(smallest(report, direct, memory))
    slot = Image.load(directory).slot
    if slot is not None:
        found.append(Row("root slot", slot.stat().st_size / 1e6, "MB", SLOT_MB, slot.name))
    return found


def smallest(report: BootReport, direct: bool, memory: int) -> Row:
    """Whether it came up in so little memory: 0 problems are allowed."""
    note = "; ".join(report.problems) or f"login after {report.login} s"
    name = f"problems when started in {memory} MiB, {_way(direct)}"
    return Row(name, float(len(report.problems)), "", 0.0, note)


def _times(reports: list[BootReport], direct: bool) -> list[Row]:
    way = _way(direct)
    logins = [report.login for report in reports if report.login is not None]
    used = [report.memory_used for report in reports if report.memory_used is not None]
    problems = sorted({problem for report in reports for problem in report.problems})
    note = "; ".join(problems)
    rows = []
    if logins:
        spread = f"median of {len(logins)}, {min(logins):.1f} to {max(logins):.1f}"
        limit = None if direct else LOGIN_S
        rows.append(
            Row(f"login after power-on, {way}", statistics.median(logins), "s", limit, spread)
        )
    if used:
        limit = None if direct else IDLE_MIB
        rows.append(
            Row(f"512 MB minus available, {way}", statistics.median(used), "MiB", limit, "idle")
        )
    rows.append(Row(f"problems, {way}", float(len(problems)), "", 0.0, note))
    return rows


def _boot(
    directory: Path, options: Options, programs: Programs, say: Callable[[str], None], what: str
) -> BootReport:
    say(f"boot {what}")
    return boot_check(directory, options, programs, limits=Limits(), say=say)


def _way(direct: bool) -> str:
    return "direct kernel" if direct else "UEFI"
