"""Ask a guest how it is, without logging in.

A login costs the guest several megabytes, which would spoil the measurement. So a udev rule
goes in as a systemd credential (`udev.rules.*`, see systemd-udev-load-credentials.service):
when the second serial port appears it starts a transient timer, and some seconds after the
start is complete a script, another credential, writes a report on that port. The image
itself holds nothing of this.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from tools.vm.lines import Line
from tools.vm.spec import Credential

PORT = "/dev/ttyS1"
BEGIN, END = "STRAKE-BEGIN", "STRAKE-END"
_SCRIPT_NAME = "strake.probe"

# Memory comes first, before the tools that read the rest take any.
SCRIPT = f"""\
read up rest </proc/uptime
echo {BEGIN}
echo "uptime=$up"
while read name value unit; do
  case $name in MemTotal:|MemAvailable:) echo "${{name%:}}=$value" ;; esac
done </proc/meminfo
echo "state=$(systemctl is-system-running --wait)"
echo "userspace=$(systemctl show -p UserspaceTimestampMonotonic --value)"
echo "finished=$(systemctl show -p FinishTimestampMonotonic --value)"
systemctl --failed --plain --no-legend --no-pager | while read unit rest; do
  echo "failed=$unit"
done
echo "preinit=$(dmesg | grep -m1 'as init process' | tr -d '[]' | sed 's/^ *//;s/ .*//')"
while IFS='=' read key value; do
  [ "$key" = IMAGE_VERSION ] && echo "version=$value"
done </etc/os-release
echo {END}
"""


@dataclass(frozen=True, slots=True)
class GuestReport:
    """What the guest says. Times are seconds since its kernel started, memory is KiB."""

    uptime: float
    memory_total: int
    memory_available: int
    state: str
    failed_units: tuple[str, ...]
    userspace: float
    finished: float
    preinit: float | None
    version: str


def credentials(settle: int) -> tuple[Credential, ...]:
    """What makes the guest report `settle` seconds after its start is complete."""
    timer = " ".join(
        (
            "/usr/bin/systemd-run --quiet --no-block --unit=strake-probe",
            "--timer-property=After=multi-user.target --timer-property=AccuracySec=100ms",
            f"--on-active={settle}s --property=StandardOutput=file:{PORT}",
            f"/bin/sh /run/credentials/@system/{_SCRIPT_NAME}",
        )
    )
    name = PORT.rpartition("/")[2]
    rule = f'ACTION=="add", SUBSYSTEM=="tty", KERNEL=="{name}", RUN+="{timer}"\n'
    return (
        Credential(_SCRIPT_NAME, SCRIPT.encode()),
        Credential("udev.rules.90-strake-probe", rule.encode()),
    )


def parse(text: str) -> GuestReport:
    """Read a report.

    Raises:
        ValueError: it is not whole.
    """
    body = re.search(f"{BEGIN}\n(.*?)\n?{END}", text, re.DOTALL)
    if body is None:
        raise ValueError("the guest's report is not whole")
    pairs = [line.partition("=")[::2] for line in body.group(1).splitlines() if "=" in line]
    values: Mapping[str, str] = dict(pairs)
    try:
        return GuestReport(
            uptime=float(values["uptime"]),
            memory_total=int(values["MemTotal"]),
            memory_available=int(values["MemAvailable"]),
            state=values["state"],
            failed_units=tuple(sorted(value for key, value in pairs if key == "failed")),
            userspace=int(values["userspace"]) / 1e6,
            finished=int(values["finished"]) / 1e6,
            preinit=float(values["preinit"]) if values.get("preinit") else None,
            version=values.get("version", "").strip('"'),
        )
    except KeyError as error:
        raise ValueError(f"the guest's report lacks {error}") from error


def kernel_start(lines: tuple[Line, ...], report: GuestReport) -> float:
    """When the guest's kernel started, in seconds since power-on.

    The line with the uptime left the guest at that uptime; we know when it came here.
    """
    came = next((line.at for line in lines if line.text.startswith("uptime=")), report.uptime)
    return came - report.uptime
