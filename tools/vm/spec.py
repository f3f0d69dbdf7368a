"""What a virtual machine is made of: plain values, and the pure way to QEMU's arguments.

`qemu_argv` is the one table of how each part is spelled on QEMU's command line. It opens
no file and starts nothing, so that every spelling is a row of a test.
"""

from __future__ import annotations

import base64
import enum
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SSH_PORT = 22


class Accel(enum.StrEnum):
    """Who executes the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"

    @property
    def arguments(self) -> tuple[str, ...]:
        """QEMU's words for it, with the processor that suits it.

        Under emulation the plainest processor is the quickest to boot. Under KVM,
        arch-capabilities is left out because nested hypervisors refuse to set its register.
        """
        if self is Accel.KVM:
            return ("-accel", "kvm", "-cpu", "host,arch-capabilities=off")
        return (
            "-accel",
            "tcg,thread=multi",
            "-cpu",
            "qemu64,+rdrand,+ssse3,+sse4.1,+sse4.2",
        )


class Channel(enum.Enum):
    """How the guest finds a credential; systemd reads both."""

    SMBIOS = "smbios"
    FW_CFG = "fw_cfg"


@dataclass(frozen=True, slots=True)
class Credential:
    """A systemd credential handed to the guest's PID 1 (systemd.system-credentials(7))."""

    name: str
    value: bytes
    channel: Channel = Channel.SMBIOS

    def arguments(self) -> tuple[str, str]:
        """QEMU's words for it; binary data and line ends travel as base64."""
        plain = self.value.isascii() and self.value.decode("ascii", "replace").isprintable()
        if self.channel is Channel.FW_CFG:
            text = self.value.decode("utf-8", "surrogateescape")
            word = f"name=opt/io.systemd.credentials/{self.name},string={_escape(text)}"
            return ("-fw_cfg", word)
        if plain:
            text = f"io.systemd.credential:{self.name}={self.value.decode()}"
        else:
            data = base64.b64encode(self.value).decode()
            text = f"io.systemd.credential.binary:{self.name}={data}"
        return ("-smbios", f"type=11,value={_escape(text)}")


@dataclass(frozen=True, slots=True)
class Disk:
    """A virtio disk. With `snapshot` writes go to a file that vanishes with the machine."""

    path: Path
    format: str = "qcow2"
    snapshot: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class Uefi:
    """Boot through firmware. `variables` is this machine's own writable copy."""

    code: Path
    variables: Path
    secure: bool = False
    """The firmware checks signatures: needs system management mode."""


@dataclass(frozen=True, slots=True)
class Direct:
    """Load a kernel straight into memory; fastest, and needs the least of it."""

    kernel: Path
    cmdline: str
    initrd: Path | None = None


@dataclass(frozen=True, slots=True)
class Forward:
    """A TCP port of the guest on the host's loopback; `host` 0 lets the kernel choose."""

    guest: int = SSH_PORT
    host: int = 0


@dataclass(frozen=True, slots=True)
class VmSpec:
    """One machine. `memory` is in MiB."""

    name: str
    boot: Uefi | Direct
    disks: tuple[Disk, ...] = ()
    memory: int = 512
    cpus: int = 2
    accel: Accel = Accel.TCG
    credentials: tuple[Credential, ...] = ()
    fw_cfg: tuple[tuple[str, str], ...] = ()
    forwards: tuple[Forward, ...] = (Forward(),)
    network: bool = True
    display: bool = False
    watchdog: bool = True
    tpm_socket: Path | None = None
    extra: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, value, least in (("memory", self.memory, 16), ("cpus", self.cpus, 1)):
            if value < least:
                raise ValueError(f"{name} is {value}, needs at least {least}")


@dataclass(frozen=True, slots=True)
class Wires:
    """File descriptors that QEMU inherits: consoles and monitor, one end of a socket pair.

    Inherited sockets need no path, so no limit on path lengths and no race at the start.
    """

    console: int
    monitor: int
    probe: int | None = None
    """Second serial port (ttyS1), for output that must not mix with the console's."""


def qemu_argv(spec: VmSpec, wires: Wires, data_dirs: tuple[Path, ...] = ()) -> tuple[str, ...]:
    """QEMU's arguments, without the program's name."""
    words: list[str] = []
    for part in (
        _board(spec, data_dirs),
        _wires(wires),
        _boot(spec.boot),
        *(_disk(index, disk, spec.boot) for index, disk in enumerate(spec.disks)),
        _network(spec),
        *(credential.arguments() for credential in spec.credentials),
        *(("-fw_cfg", f"name={name},string={_escape(text)}") for name, text in spec.fw_cfg),
        _tpm(spec.tpm_socket),
        spec.extra,
    ):
        words += part
    return tuple(words)


def _board(spec: VmSpec, data_dirs: tuple[Path, ...]) -> Iterator[str]:
    secure = isinstance(spec.boot, Uefi) and spec.boot.secure
    yield from ("-name", spec.name)
    for directory in data_dirs:
        yield from ("-L", str(directory))
    yield from ("-machine", "q35,smm=on" if secure else "q35,smm=off")
    yield from spec.accel.arguments
    yield from ("-smp", str(spec.cpus), "-m", str(spec.memory))
    yield from ("-nodefaults", "-no-user-config", "-display", "none")
    if spec.display:
        yield from ("-device", "VGA,romfile=")
    if spec.watchdog:
        # The chipset's own timer: off by default, because a guest that starts it must feed it.
        yield from ("-global", "ICH9-LPC.noreboot=false", "-action", "watchdog=reset")
    yield from ("-device", "virtio-rng-pci")


def _wires(wires: Wires) -> Iterator[str]:
    yield from ("-chardev", f"socket,id=monitor,fd={wires.monitor}")
    yield from ("-mon", "chardev=monitor,mode=control")
    yield from (
        "-chardev",
        f"socket,id=console,fd={wires.console}",
        "-serial",
        "chardev:console",
    )
    if wires.probe is not None:
        yield from (
            "-chardev",
            f"socket,id=probe,fd={wires.probe}",
            "-serial",
            "chardev:probe",
        )


def _boot(boot: Uefi | Direct) -> Iterator[str]:
    if isinstance(boot, Direct):
        yield from ("-kernel", str(boot.kernel), "-append", boot.cmdline)
        if boot.initrd is not None:
            yield from ("-initrd", str(boot.initrd))
        return
    flash = "if=pflash,format=raw"
    yield from ("-drive", f"{flash},unit=0,readonly=on,file={_escape(str(boot.code))}")
    yield from ("-drive", f"{flash},unit=1,file={_escape(str(boot.variables))}")
    if boot.secure:
        yield from ("-global", "driver=cfi.pflash01,property=secure,value=on")


def _disk(index: int, disk: Disk, boot: Uefi | Direct) -> Iterator[str]:
    options = "".join(
        f",{option}=on"
        for option, wanted in (
            ("snapshot", disk.snapshot),
            ("readonly", disk.read_only),
        )
        if wanted
    )
    file = f"file={_escape(str(disk.path))},format={disk.format}"
    # Power cuts are made by ending QEMU, which loses nothing of the host's page cache.
    yield from (
        "-drive",
        f"if=none,id=disk{index},cache=unsafe,discard=unmap,{file}{options}",
    )
    order = f",bootindex={index + 1}" if isinstance(boot, Uefi) else ""
    yield from (
        "-device",
        f"virtio-blk-pci,drive=disk{index},serial=strake-disk{index}{order}",
    )


def _network(spec: VmSpec) -> Iterator[str]:
    if not spec.network:
        yield from ("-nic", "none")
        return
    forwards = "".join(
        f",hostfwd=tcp:127.0.0.1:{forward.host}-:{forward.guest}" for forward in spec.forwards
    )
    yield from ("-netdev", f"user,id=net0{forwards}")
    yield from ("-device", "virtio-net-pci,netdev=net0,romfile=")


def _tpm(path: Path | None) -> Iterator[str]:
    if path is None:
        return
    yield from ("-chardev", f"socket,id=tpm,path={_escape(str(path))}")
    yield from (
        "-tpmdev",
        "emulator,id=tpm0,chardev=tpm",
        "-device",
        "tpm-crb,tpmdev=tpm0",
    )


def _escape(text: str) -> str:
    """QEMU splits options at commas; two of them stand for one."""
    return text.replace(",", ",,")
