"""Find out whether KVM works here.

That /dev/kvm exists says little: it may be closed to us, be a nested hypervisor that fails
at the first instruction, or do in software what a processor without virtualisation cannot
do, slower than QEMU's own emulation. So the processor's flags are read, and a machine
without disks is started and asked how it does; that takes a fifth of a second.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from tools.proc import ProgramError, run
from tools.vm.errors import VmError
from tools.vm.programs import Programs
from tools.vm.spec import Accel

_TRIAL_S = 20.0
_VIRTUALISATION = {"vmx", "svm"}


@dataclass(frozen=True, slots=True)
class Choice:
    """The accelerator to use; `note` says why KVM is not, if it is not."""

    accel: Accel
    note: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """Where the kernel tells about KVM; tests put other files there."""

    device: Path = Path("/dev/kvm")
    cpuinfo: Path = Path("/proc/cpuinfo")


def choose(wanted: str, programs: Programs, host: Host | None = None) -> Choice:
    """Decide for `auto`, `kvm` or `tcg`.

    Raises:
        VmError: KVM is demanded but does not work, or `wanted` is something else.
    """
    if wanted not in ("auto", *Accel):
        raise VmError(f"no accelerator “{wanted}”", "use auto, kvm or tcg")
    if wanted == Accel.TCG:
        return Choice(Accel.TCG)
    why_not = kvm_trouble(programs, host or Host())
    if not why_not:
        return Choice(Accel.KVM)
    if wanted == Accel.KVM:
        raise VmError(f"KVM cannot be used: {why_not}", "use --accel tcg for pure emulation")
    return Choice(Accel.TCG, f"emulating the processor, which is slow: {why_not}")


def kvm_trouble(programs: Programs, host: Host) -> str:
    """Why KVM cannot be used; empty when it can."""
    if not host.device.exists():
        return f"{host.device} does not exist"
    if not os.access(host.device, os.R_OK | os.W_OK):
        return f"{host.device} is not open to this user"
    if not _VIRTUALISATION & processor_flags(host.cpuinfo):
        return "the processor has no virtualisation (neither vmx nor svm)"
    return _trial(programs)


def processor_flags(cpuinfo: Path) -> frozenset[str]:
    """The flags of the first processor."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = next((line for line in lines if line.startswith("flags")), "")
    return frozenset(flags.partition(":")[2].split())


def _trial(programs: Programs) -> str:
    words = ["-machine", "q35", *Accel.KVM.arguments, "-m", "32", "-nodefaults"]
    words += ["-no-user-config", "-display", "none", "-qmp", "stdio"]
    for directory in programs.data_dirs:
        words += ["-L", str(directory)]
    commands = [{"execute": name} for name in ("qmp_capabilities", "query-status", "quit")]
    stdin = "".join(json.dumps(command) + "\n" for command in commands).encode()
    argv = programs.argv("qemu-system-x86_64", *words)
    try:
        done = run(argv, env=programs.env, stdin=stdin, timeout=_TRIAL_S)
    except ProgramError as error:
        return error.message
    return "" if '"running": true' in done.text else "a trial machine did not run"
