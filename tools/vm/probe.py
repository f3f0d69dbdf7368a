"""Ask a guest how it is, without logging in.

A login costs the guest several megabytes, which would spoil the measurement. So a udev rule
goes in as a systemd credential (`udev.rules.*`, see systemd-udev-load-credentials.service).
When the second serial port appears the rule has a timer started; some seconds after the
start is complete a script, another credential, writes a report on that port. The image
itself holds nothing of this. The rule calls systemctl and not systemd-run, because the
message bus is not up so early.
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
_CREDENTIALS = "/run/credentials/@system"

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
    service = f"""\
[Unit]
Description=Report to the host
[Service]
ExecStart=/bin/sh {_CREDENTIALS}/{_SCRIPT_NAME}
StandardOutput=file:{PORT}
"""
    timer = f"""\
[Unit]
Description=Report to the host when the start has settled
After=multi-user.target
[Timer]
OnActiveSec={settle}s
AccuracySec=100ms
"""
    start = f"""\
cd {_CREDENTIALS}
for kind in service timer; do
  cat {_SCRIPT_NAME}.$kind >/run/systemd/system/strake-probe.$kind
done
systemctl --no-block start strake-probe.timer
"""
    port = PORT.rpartition("/")[2]
    run = f"/bin/sh {_CREDENTIALS}/{_SCRIPT_NAME}.start"
    rule = f'ACTION=="add", SUBSYSTEM=="tty", KERNEL=="{port}", RUN+="{run}"\n'
    texts = {
        _SCRIPT_NAME: SCRIPT,
        f"{_SCRIPT_NAME}.service": service,
        f"{_SCRIPT_NAME}.timer": timer,
        f"{_SCRIPT_NAME}.start": start,
        "udev.rules.90-strake-probe": rule,
    }
    return tuple(Credential(name, text.encode()) for name, text in texts.items())


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
