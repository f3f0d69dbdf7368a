"""Two releases on one disk: the new one has to prove itself, or the old one comes back."""

from __future__ import annotations

import base64
from contextlib import suppress
from pathlib import Path

from tests.boot.conftest import LOGIN, LOGIN_S, Boot, log_in, root, settled
from tests.boot.disks import RawDisk, Release
from tools.proc import ProgramTimeout
from tools.vm import Credential, Machine

# Long names, because short ones come back in capitals.
OLD = "strake_0.0.1.efi"
NEW = "strake_9999.0.0"
TRIES = 3


def two_releases(disk: RawDisk, release: Release, work: Path) -> Release:
    """Install another, newer release in the spare slot, on trial; the old one is known good."""
    (entry,) = disk.entries()
    disk.rename(entry, OLD)
    other = release.other(work)
    disk.install("ROOT-B", other, f"{NEW}+{TRIES}.efi")
    return other


def runs(machine: Machine, release: Release) -> bool:
    return str(release.partition) in root(machine, "cat /proc/cmdline")


def entries(machine: Machine) -> list[str]:
    return sorted(root(machine, "ls /boot/EFI/Linux").split())


def test_a_good_release_is_kept(
    boot: Boot, scratch: RawDisk, release: Release, tmp_path: Path
) -> None:
    other = two_releases(scratch, release, tmp_path)
    with boot("good-release", scratch) as machine:
        log_in(machine)
        assert settled(machine) == "running"
        assert runs(machine, other)
        assert entries(machine) == [OLD, f"{NEW}.efi"]


def test_a_flipped_bit_is_caught(
    boot: Boot, scratch: RawDisk, release: Release, tmp_path: Path
) -> None:
    two_releases(scratch, release, tmp_path)
    scratch.flip("ROOT-B", 1024 + 100)
    with boot("flipped-bit", scratch) as machine:
        log_in(machine)
        assert settled(machine) == "running"
        assert runs(machine, release)
        assert entries(machine) == [OLD, f"{NEW}+0-{TRIES}.efi"]
        assert machine.console.text.count("panic") >= TRIES


def test_a_bit_that_flips_later_is_caught_too(boot: Boot, release: Release) -> None:
    """The block is good when the machine starts; the program in it is read only once bad."""
    with boot("late-bit") as machine:
        log_in(machine)
        assert settled(machine) == "running"
        mark = machine.console.mark()
        part = "/dev/disk/by-partlabel/ROOT-A"
        damage = f"printf x | dd of={part} bs=1 seek=1200 conv=notrunc,fsync status=none"
        reread = "dd if=/dev/dm-0 of=/dev/null bs=4096 count=1 iflag=direct"
        # The machine panics before it can answer.
        with suppress(ProgramTimeout):
            machine.ssh(f"sudo sh -c '{damage}; {reread}'", check=False, timeout=20)
        machine.console.wait_for("panic", LOGIN_S, since=mark)


def test_an_unhealthy_release_is_left(
    boot: Boot, scratch: RawDisk, release: Release, tmp_path: Path
) -> None:
    other = two_releases(scratch, release, tmp_path)
    check = f"#!/bin/sh\n! grep -q {other.partition} /proc/cmdline\n"
    encoded = base64.b64encode(check.encode()).decode()
    line = f"f~ /etc/strake/health.d/50-not-this-one 0755 root root - {encoded}\n"
    with boot(
        "unhealthy", scratch, credentials=(Credential("tmpfiles.extra", line.encode()),)
    ) as machine:
        # It restarts by itself; the prompts of the release on trial may show before.
        for _ in range(TRIES + 1):
            mark = machine.console.mark()
            machine.console.wait_for(LOGIN, LOGIN_S, since=mark)
            machine.wait_ssh(120)
            state = settled(machine)
            if state == "running" and runs(machine, release):
                break
        assert runs(machine, release)
        assert entries(machine) == [OLD, f"{NEW}+0-{TRIES}.efi"]
