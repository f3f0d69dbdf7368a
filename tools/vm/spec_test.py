from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tools.vm.spec import (
    Accel,
    Channel,
    Credential,
    Direct,
    Disk,
    Forward,
    Uefi,
    VmSpec,
    Wires,
    qemu_argv,
)

DIRECT = Direct(Path("/k/bzImage"), 'console=ttyS0 dm-mod.create="a,,,ro,0 8 verity"')
UEFI = Uefi(Path("/f/CODE.fd"), Path("/run/a,b/vars.fd"))
BASE = VmSpec("t", DIRECT)
WIRES = Wires(console=7, monitor=8)


def pairs(spec: VmSpec, wires: Wires = WIRES) -> list[tuple[str, str]]:
    """Options with their values; an option without one gets an empty value."""
    found: list[tuple[str, str]] = []
    for word in qemu_argv(spec, wires, (Path("/tree/share"),)):
        if word.startswith("-") and (not found or found[-1][0] != "-append" or found[-1][1]):
            found.append((word, ""))
        else:
            found[-1] = (found[-1][0], word)
    return found


@pytest.mark.parametrize(
    ("changes", "option", "value"),
    [
        pytest.param({}, "-name", "t", id="name"),
        pytest.param({}, "-L", "/tree/share", id="data-dirs"),
        pytest.param({}, "-m", "512", id="memory"),
        pytest.param({"memory": 96}, "-m", "96", id="little-memory"),
        pytest.param({"cpus": 1}, "-smp", "1", id="cpus"),
        pytest.param({}, "-accel", "tcg,thread=multi", id="emulation"),
        pytest.param({"accel": Accel.KVM}, "-accel", "kvm", id="kvm"),
        pytest.param({"accel": Accel.KVM}, "-cpu", "host,arch-capabilities=off", id="kvm-cpu"),
        pytest.param({}, "-kernel", "/k/bzImage", id="kernel"),
        pytest.param({}, "-append", DIRECT.cmdline, id="cmdline-is-not-escaped"),
        pytest.param(
            {"boot": dataclasses.replace(DIRECT, initrd=Path("/i"))},
            "-initrd",
            "/i",
            id="initrd",
        ),
        pytest.param(
            {"boot": UEFI},
            "-drive",
            "if=pflash,format=raw,unit=0,readonly=on,file=/f/CODE.fd",
            id="firmware",
        ),
        pytest.param(
            {"boot": UEFI},
            "-drive",
            "if=pflash,format=raw,unit=1,file=/run/a,,b/vars.fd",
            id="firmware-variables-comma",
        ),
        pytest.param({"boot": UEFI}, "-machine", "q35,smm=off", id="no-smm"),
        pytest.param(
            {"boot": dataclasses.replace(UEFI, secure=True)},
            "-machine",
            "q35,smm=on",
            id="smm",
        ),
        pytest.param(
            {"boot": dataclasses.replace(UEFI, secure=True)},
            "-global",
            "driver=cfi.pflash01,property=secure,value=on",
            id="secure-flash",
        ),
        pytest.param(
            {"disks": (Disk(Path("/d.qcow2")),)},
            "-drive",
            "if=none,id=disk0,cache=unsafe,discard=unmap,file=/d.qcow2,format=qcow2",
            id="disk",
        ),
        pytest.param(
            {
                "disks": (
                    Disk(Path("/a")),
                    Disk(Path("/b"), "raw", snapshot=True, read_only=True),
                )
            },
            "-drive",
            "if=none,id=disk1,cache=unsafe,discard=unmap,file=/b,format=raw,snapshot=on,readonly=on",
            id="second-disk",
        ),
        pytest.param(
            {"boot": UEFI, "disks": (Disk(Path("/a")),)},
            "-device",
            "virtio-blk-pci,drive=disk0,serial=strake-disk0,bootindex=1",
            id="boot-order",
        ),
        pytest.param({}, "-netdev", "user,id=net0,hostfwd=tcp:127.0.0.1:0-:22", id="ssh-forward"),
        pytest.param(
            {"forwards": (Forward(), Forward(2379, 5000))},
            "-netdev",
            "user,id=net0,hostfwd=tcp:127.0.0.1:0-:22,hostfwd=tcp:127.0.0.1:5000-:2379",
            id="forwards",
        ),
        pytest.param({"network": False}, "-nic", "none", id="no-network"),
        pytest.param({"display": True}, "-device", "VGA,romfile=", id="display"),
        pytest.param({}, "-global", "ICH9-LPC.noreboot=false", id="watchdog"),
        pytest.param(
            {"fw_cfg": (("opt/x", "a,b"),)},
            "-fw_cfg",
            "name=opt/x,string=a,,b",
            id="fw-cfg",
        ),
        pytest.param(
            {"tpm_socket": Path("/t")},
            "-chardev",
            "socket,id=tpm,path=/t",
            id="tpm-socket",
        ),
        pytest.param({"extra": ("-snapshot",)}, "-snapshot", "", id="extra"),
        pytest.param({}, "-chardev", "socket,id=console,fd=7", id="console"),
        pytest.param({}, "-chardev", "socket,id=monitor,fd=8", id="monitor"),
    ],
)
def test_arguments(changes: dict[str, Any], option: str, value: str) -> None:
    assert (option, value) in pairs(dataclasses.replace(BASE, **changes))


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        pytest.param({"boot": UEFI}, "-kernel", id="uefi-loads-no-kernel"),
        pytest.param({"network": False}, "-netdev", id="no-network"),
        pytest.param({"watchdog": False}, "-action", id="no-watchdog"),
        pytest.param({}, "-initrd", id="no-initrd"),
        pytest.param({}, "-tpmdev", id="no-tpm"),
    ],
)
def test_left_out(changes: dict[str, Any], option: str) -> None:
    assert option not in dict(pairs(dataclasses.replace(BASE, **changes)))


def test_the_console_is_the_first_serial_port() -> None:
    serial = [v for o, v in pairs(BASE, Wires(7, 8, probe=9)) if o == "-serial"]
    assert serial == ["chardev:console", "chardev:probe"]


@pytest.mark.parametrize(
    ("credential", "words"),
    [
        pytest.param(
            Credential("a.b", b"x y"),
            ("-smbios", "type=11,value=io.systemd.credential:a.b=x y"),
            id="plain",
        ),
        pytest.param(
            Credential("k", b"x,y=z"),
            ("-smbios", "type=11,value=io.systemd.credential:k=x,,y=z"),
            id="comma",
        ),
        pytest.param(
            Credential("k", b"a\nb"),
            ("-smbios", "type=11,value=io.systemd.credential.binary:k=YQpi"),
            id="line-end-is-binary",
        ),
        pytest.param(
            Credential("k", b"\xff"),
            ("-smbios", "type=11,value=io.systemd.credential.binary:k=/w=="),
            id="binary",
        ),
        pytest.param(
            Credential("k", b"a,b", Channel.FW_CFG),
            ("-fw_cfg", "name=opt/io.systemd.credentials/k,string=a,,b"),
            id="fw-cfg",
        ),
    ],
)
def test_credentials(credential: Credential, words: tuple[str, str]) -> None:
    assert credential.arguments() == words


@pytest.mark.parametrize("changes", [{"memory": 0}, {"cpus": 0}], ids=["memory", "cpus"])
def test_nonsense_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs at least"):
        dataclasses.replace(BASE, **changes)
