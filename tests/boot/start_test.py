"""One healthy machine, looked at from all sides. The tests run in their order."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.boot.conftest import Boot, log_in, root, settled
from tools.vm import Machine
from tools.vm.image import MIB

EXTRA_MIB = 2048

# Enough for `sh`, without a network: the host's own programs, which need only libc.
TINY = (
    "tar -C / -c bin lib lib64 usr/bin/sh usr/bin/dash usr/bin/cat usr/bin/head usr/bin/tail"
    " usr/lib64/ld-linux-x86-64.so.2 usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"
    " usr/lib/x86_64-linux-gnu/libc.so.6 | sudo podman import - localhost/tiny"
)


@pytest.fixture(scope="module")
def machine(boot: Boot, raw: Path) -> Iterator[Machine]:
    size = raw.stat().st_size // MIB + EXTRA_MIB
    with boot("healthy", disk_size=size) as machine:
        log_in(machine)
        yield machine


@pytest.fixture(scope="module")
def tiny(machine: Machine) -> str:
    """The name of a container image."""
    machine.ssh(TINY)
    return "localhost/tiny"


def test_it_comes_up_whole(machine: Machine) -> None:
    assert settled(machine) == "running"
    assert root(machine, "systemctl --failed --plain --no-legend") == ""


def test_it_says_what_it_is(machine: Machine) -> None:
    lines = machine.ssh("cat /etc/os-release").text.splitlines()
    found = dict(line.split("=", 1) for line in lines if "=" in line)
    assert found["ID"].strip('"') == "strake"
    assert found["IMAGE_VERSION"].strip('"') in root(machine, "cat /proc/cmdline")
    assert any("Strake" in line.text for line in machine.console.lines)


def test_core_has_its_key_and_root_by_sudo(machine: Machine) -> None:
    assert machine.ssh("id -un").text.strip() == "core"
    assert root(machine, "id -u") == "0"


def test_nobody_else_gets_in(machine: Machine) -> None:
    assert machine.ssh("true", user="root", check=False).returncode == 255
    assert root(machine, "sshd -T | grep ^passwordauthentication") == "passwordauthentication no"


@pytest.mark.parametrize("path", ["/x", "/usr/x", "/usr/bin/x", "/usr/lib/strake/x"])
def test_the_system_cannot_be_written(machine: Machine, path: str) -> None:
    done = machine.ssh(f"sudo touch {path}", check=False)
    assert done.returncode != 0
    assert b"Read-only file system" in done.stderr


def test_the_root_stays_read_only(machine: Machine) -> None:
    machine.ssh("sudo mount -o remount,rw /", check=False)
    assert machine.ssh("sudo touch /usr/x", check=False).returncode != 0
    assert root(machine, "blockdev --getro /dev/dm-0") == "1"
    assert root(machine, "findmnt -no FSTYPE /") == "erofs"


def test_its_own_places_can_be_written(machine: Machine) -> None:
    for path in ("/etc/x", "/var/x", "/home/core/x", "/usr/local/x"):
        root(machine, f"touch {path}")
        root(machine, f"rm {path}")


def test_state_fills_the_disk(machine: Machine) -> None:
    assert root(machine, "systemctl is-active strake-grow.service") == "active"
    size = int(root(machine, "df -BM --output=size /state").split()[-1].rstrip("M"))
    assert size > EXTRA_MIB


def test_the_release_is_good_after_its_checks(machine: Machine) -> None:
    assert root(machine, "systemctl is-active boot-complete.target") == "active"
    assert "+" not in root(machine, "ls /boot/EFI/Linux")


def test_a_container_runs(machine: Machine, tiny: str) -> None:
    command = f"podman run --rm --network none {tiny} sh -c 'echo hello from $0; cat /proc/1/comm'"
    assert root(machine, command).splitlines() == ["hello from sh", "sh"]


def test_a_container_has_a_network(machine: Machine, tiny: str) -> None:
    routes = root(machine, f"podman run --rm {tiny} cat /proc/net/route")
    assert "eth0" in routes


def test_the_memory_limit_is_set(machine: Machine, tiny: str) -> None:
    command = f"podman run --rm --memory 32m {tiny} cat /sys/fs/cgroup/memory.max"
    assert root(machine, command) == str(32 << 20)


def test_who_takes_more_is_killed(machine: Machine, tiny: str) -> None:
    hog = f"sudo podman run --name hog --memory 32m --memory-swap 32m {tiny}"
    done = machine.ssh(f"{hog} sh -c 'head -c 200m /dev/zero | tail'", check=False)
    assert done.returncode == 137
    assert root(machine, "podman inspect --format '{{.State.OOMKilled}}' hog") == "true"
    root(machine, "podman rm hog")
    assert settled(machine) == "running"


def test_the_docker_command(machine: Machine, tiny: str) -> None:
    assert root(machine, f"docker run --rm --network none {tiny} sh -c 'echo docked'") == "docked"
    assert "localhost/tiny" in root(machine, "docker images")


def test_the_docker_socket(machine: Machine, tiny: str) -> None:
    ask = "curl --silent --show-error --unix-socket /run/docker.sock http://docker"
    assert root(machine, f"{ask}/_ping") == "OK"
    assert tiny in root(machine, f"{ask}/v1.41/images/json")


def test_it_restarts_and_keeps_its_state(machine: Machine) -> None:
    root(machine, "sh -c 'echo kept >/etc/kept && echo kept >/var/kept'")
    before = root(machine, "cat /proc/sys/kernel/random/boot_id")
    key = root(machine, "cat /etc/ssh/ssh_host_ed25519_key.pub")
    mark = machine.console.mark()
    machine.ssh("sudo systemctl reboot", check=False)
    log_in(machine, since=mark)
    assert root(machine, "cat /proc/sys/kernel/random/boot_id") != before
    assert root(machine, "cat /etc/kept /var/kept").split() == ["kept", "kept"]
    assert root(machine, "cat /etc/ssh/ssh_host_ed25519_key.pub") == key
    assert settled(machine) == "running"


def test_the_power_button_switches_it_off(machine: Machine) -> None:
    assert machine.shutdown()
