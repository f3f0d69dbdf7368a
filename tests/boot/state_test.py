"""STATE may be lost: the machine comes up all the same, and says so where it must."""

from __future__ import annotations

from tests.boot.conftest import Boot, log_in, root, settled
from tests.boot.disks import RawDisk

MIB = 1 << 20


def test_a_wiped_state_is_made_anew(boot: Boot, scratch: RawDisk) -> None:
    scratch.wipe("STATE")
    with boot("wiped", scratch) as machine:
        log_in(machine)
        assert settled(machine) == "running"
        assert root(machine, "findmnt -no FSTYPE /state") == "ext4"
        assert root(machine, "findmnt -no FSTYPE /etc") == "overlay"


def test_a_state_beyond_repair_is_replaced_by_memory(boot: Boot, scratch: RawDisk) -> None:
    """Something else lies in STATE: it is not formatted over, the machine runs without."""
    scratch.wipe("STATE")
    scratch.write("STATE", b"LUKS\xba\xbe\x00\x02" + b"\xa5" * MIB)
    with boot("foreign", scratch) as machine:
        log_in(machine)
        settled(machine)
        assert root(machine, "findmnt -no FSTYPE /state") == "tmpfs"
        assert "NOTHING WILL BE KEPT" in machine.console.text
        root(machine, "touch /var/x /etc/x")
