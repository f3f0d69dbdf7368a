from __future__ import annotations

import pytest

from tools.vm import probe
from tools.vm.lines import Line

REPORT = """
STRAKE-BEGIN
uptime=21.50
MemTotal=495000
MemAvailable=430000
state=degraded
userspace=2500000
finished=9250000
failed=b.service
failed=a.service
preinit=1.924000
version="1.0.0"
STRAKE-END
"""


def test_a_report_is_read() -> None:
    report = probe.parse(REPORT)
    assert report == probe.GuestReport(
        uptime=21.5,
        memory_total=495000,
        memory_available=430000,
        state="degraded",
        failed_units=("a.service", "b.service"),
        userspace=2.5,
        finished=9.25,
        preinit=1.924,
        version="1.0.0",
    )


def test_unknown_times_are_none() -> None:
    assert probe.parse(REPORT.replace("preinit=1.924000", "preinit=")).preinit is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("", "not whole", id="nothing"),
        pytest.param(REPORT.replace("STRAKE-END", ""), "not whole", id="cut"),
        pytest.param(REPORT.replace("MemTotal=495000", ""), "lacks 'MemTotal'", id="lacking"),
        pytest.param(REPORT.replace("495000", "much"), "invalid literal", id="no-number"),
    ],
)
def test_a_bad_report_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        probe.parse(text)


def test_the_kernels_start_follows_from_the_uptime() -> None:
    lines = (Line(24.0, "STRAKE-BEGIN"), Line(24.25, "uptime=21.50"))
    assert probe.kernel_start(lines, probe.parse(REPORT)) == 2.75


def test_the_credentials_start_a_timer_after_the_start() -> None:
    found = {credential.name: credential.value.decode() for credential in probe.credentials(7)}
    assert found["udev.rules.90-strake-probe"] == (
        'ACTION=="add", SUBSYSTEM=="tty", KERNEL=="ttyS1",'
        ' RUN+="/bin/sh /run/credentials/@system/strake.probe.start"\n'
    )
    assert "After=multi-user.target\n[Timer]\nOnActiveSec=7s" in found["strake.probe.timer"]
    assert "/strake.probe\n" in found["strake.probe.service"]
    assert "start strake-probe.timer" in found["strake.probe.start"]
    assert found["strake.probe"] == probe.SCRIPT
