"""From an image to a running machine: everything between `Image` and `Machine`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tools.vm import ssh
from tools.vm.accel import Choice, choose
from tools.vm.firmware import uefi
from tools.vm.image import MIB, Image, overlay, unpacked
from tools.vm.machine import Machine
from tools.vm.programs import Programs
from tools.vm.spec import SSH_PORT, Credential, Direct, Disk, Forward, Uefi, VmSpec
from tools.vm.state import DEFAULT_NAME, VmState, claim, publish
from tools.workspace import cache_dir


@dataclass(frozen=True, slots=True)
class Options:
    """What a user may choose. `memory` and `disk_size` are in MiB."""

    name: str = DEFAULT_NAME
    memory: int = 1024
    cpus: int = 2
    accel: str = "auto"
    direct: bool = False
    """Load the kernel without firmware and boot loader."""
    disk_size: int | None = None
    """Size of the virtual disk, when it is to be larger than the image."""
    keep: bool = False
    """Go on with the disk of the machine's last run, if it was of the same image."""
    secure_boot: Path | None = None
    """Certificate that has to have signed what boots."""
    credentials: tuple[Credential, ...] = ()
    fw_cfg: tuple[tuple[str, str], ...] = ()
    forwards: tuple[Forward, ...] = (Forward(),)
    display: bool = False
    network: bool = True
    extra: tuple[str, ...] = ()


def vm_dir() -> Path:
    """Where machines keep their directories."""
    return cache_dir() / "vm"


@contextmanager
def launched(
    image: Image,
    options: Options,
    programs: Programs,
    *,
    base: Path | None = None,
    tap: Callable[[bytes], None] | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Machine]:
    """A running machine with the image's disk; its user `core` accepts the machine's key.

    Args:
        base: where machines have their directories, by default below the user's cache.
        tap: gets the console's raw bytes, from another thread.
        say: told what a user should know, such as why KVM is not used.

    Raises:
        VmError: it cannot be started, or one of that name runs.
    """
    place = base or vm_dir()
    choice = choose(options.accel, programs)
    if choice.note:
        say(choice.note)
    with claim(place, options.name) as directory:
        disk = _disk(image, options, programs, place, directory)
        key = ssh.make_key(directory, programs)
        spec = _spec(image, options, programs, directory, choice, disk, key)
        with Machine(spec, programs, directory, key=key, tap=tap) as machine:
            port = machine.port() if _has_ssh(options) else 0
            state = VmState(
                *(
                    options.name,
                    machine.pid,
                    port,
                    str(key),
                    choice.accel,
                    str(machine.log),
                )
            )
            publish(directory, state)
            yield machine


def _disk(image: Image, options: Options, programs: Programs, place: Path, directory: Path) -> Disk:
    raw = unpacked(image, place / "images", programs)
    target = directory / f"disk-{raw.stem[:16]}.qcow2"
    if options.keep and target.exists():
        return Disk(target)
    for old in directory.glob("disk-*.qcow2"):
        old.unlink()
    size = None if options.disk_size is None else options.disk_size * MIB
    return overlay(raw, target, programs, size)


def _spec(
    image: Image,
    options: Options,
    programs: Programs,
    directory: Path,
    choice: Choice,
    disk: Disk,
    key: Path,
) -> VmSpec:
    boot: Uefi | Direct
    boot = image.direct() if options.direct else uefi(programs, directory, options.secure_boot)
    keys = Credential(f"ssh.authorized_keys.{ssh.USER}", ssh.public_key(key).encode())
    return VmSpec(
        name=options.name,
        boot=boot,
        disks=(disk,),
        memory=options.memory,
        cpus=options.cpus,
        accel=choice.accel,
        credentials=(keys, *options.credentials),
        fw_cfg=options.fw_cfg,
        forwards=options.forwards,
        network=options.network,
        display=options.display,
        extra=options.extra,
    )


def _has_ssh(options: Options) -> bool:
    return options.network and any(forward.guest == SSH_PORT for forward in options.forwards)
