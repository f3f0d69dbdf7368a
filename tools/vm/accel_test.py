from __future__ import annotations

from pathlib import Path

import pytest

from tools.vm.accel import Host, choose, processor_flags
from tools.vm.errors import VmError
from tools.vm.programs import Programs
from tools.vm.spec import Accel

HOST = Programs(Path("/"))


def fake_qemu(tmp_path: Path, script: str) -> Programs:
    for name, text in (
        ("usr/bin/qemu-system-x86_64", script),
        (
            "usr/lib64/ld-linux-x86-64.so.2",
            '#!/bin/sh\nfor last; do :; done\n. "${6}"\n',
        ),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return Programs(tmp_path)


def machine(tmp_path: Path, flags: str) -> Host:
    host = Host(tmp_path / "kvm", tmp_path / "cpuinfo")
    host.device.touch()
    host.cpuinfo.write_text(f"processor\t: 0\nflags\t\t: fpu {flags}\n")
    return host


RUNS = """read x; read x; echo '{"return": {"status": "running", "running": true}}'; exit 0"""
PAUSED = """echo '{"return": {"status": "internal-error", "running": false}}'; exit 0"""
ABORTS = """echo 'error: failed to set MSR 0x10a' >&2; exit 1"""


def test_emulation_is_never_refused(tmp_path: Path) -> None:
    assert choose("tcg", HOST, Host(tmp_path / "none")).note == ""


@pytest.mark.parametrize(
    ("flags", "script", "reason"),
    [
        pytest.param("svm", RUNS, "", id="amd"),
        pytest.param("vmx", RUNS, "", id="intel"),
        pytest.param("sse", RUNS, "neither vmx nor svm", id="in-software"),
        pytest.param("vmx", PAUSED, "did not run", id="stuck"),
        pytest.param("vmx", ABORTS, "failed to set MSR 0x10a", id="broken-nested"),
    ],
)
def test_kvm_is_tried(tmp_path: Path, flags: str, script: str, reason: str) -> None:
    programs, host = fake_qemu(tmp_path, script), machine(tmp_path, flags)
    choice = choose("auto", programs, host)
    assert choice.accel is (Accel.TCG if reason else Accel.KVM)
    assert reason in choice.note
    if reason:
        with pytest.raises(VmError, match=reason):
            choose("kvm", programs, host)


def test_no_device(tmp_path: Path) -> None:
    choice = choose("auto", HOST, Host(tmp_path / "kvm"))
    assert choice.accel is Accel.TCG
    assert "does not exist" in choice.note


def test_an_unknown_accelerator(tmp_path: Path) -> None:
    with pytest.raises(VmError, match="no accelerator “xen”"):
        choose("xen", HOST, Host(tmp_path))


def test_no_cpuinfo_means_no_flags(tmp_path: Path) -> None:
    assert processor_flags(tmp_path / "none") == frozenset()
