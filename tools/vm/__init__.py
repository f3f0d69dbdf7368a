"""Run a Strake image in a virtual machine: for `./strake boot`, and for every boot test.

    image = Image.load(directory)
    with launched(image, Options(memory=512), locate()) as machine:
        machine.console.wait_for("login:", 300)
        machine.wait_ssh(60)
        print(machine.ssh("uptime").text)

`locate` takes QEMU and its firmware from the locked tools tree. `launched` makes an overlay
disk, a key, credentials and firmware variables, and yields a `Machine`: its `console` is
watched, its `monitor` speaks QMP, `ssh` runs commands. When the block is left nothing of it
runs any more. `boot_check` does all that once and reports; `running` finds the machine that
another process runs.

The parts are pure where they can be: `spec` (values to QEMU's arguments), `lines` (bytes to
stamped lines), `uefivars` (keys into firmware variables), `probe` (the guest's report).
"""

from tools.vm.check import BootReport, Limits, boot_check
from tools.vm.errors import NoSuchVm, QmpError, VmEnded, VmError, VmTimeout
from tools.vm.image import Image
from tools.vm.launch import Options, launched, vm_dir
from tools.vm.machine import Machine
from tools.vm.programs import Programs, locate
from tools.vm.spec import Accel, Credential, Forward
from tools.vm.state import VmState, running

__all__ = [
    "Accel",
    "BootReport",
    "Credential",
    "Forward",
    "Image",
    "Limits",
    "Machine",
    "NoSuchVm",
    "Options",
    "Programs",
    "QmpError",
    "VmEnded",
    "VmError",
    "VmState",
    "VmTimeout",
    "boot_check",
    "launched",
    "locate",
    "running",
    "vm_dir",
]
