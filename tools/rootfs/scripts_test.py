"""Runs the scripts of the overlay against a made-up system below a temporary directory."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.proc import Completed, run

SCRIPTS = Path("os/rootfs/overlay/usr/lib/strake")


def check(path: Path, body: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def health(root: Path) -> Completed:
    text = (SCRIPTS / "health").read_text()
    for directory in ("/usr/lib/strake", "/etc/strake"):
        text = text.replace(f"{directory}/health.d", f"{root}{directory}/health.d")
    script = root / "health"
    script.write_text(text)
    path = f"{root}/bin:/usr/bin:/bin"
    return run(["sh", script], env={"PATH": path}, check=False)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    check(tmp_path / "usr/lib/strake/health.d/10-fine", "exit 0")
    (tmp_path / "etc/strake/health.d").mkdir(parents=True)
    return tmp_path


def test_all_healthy(root: Path) -> None:
    done = health(root)
    assert done.returncode == 0
    assert done.text.endswith("healthy: " + str(root / "usr/lib/strake/health.d/10-fine") + "\n")


def test_one_failure_fails_and_the_others_still_run(root: Path) -> None:
    check(root / "etc/strake/health.d/05-bad", "echo why; exit 3")
    done = health(root)
    assert done.returncode == 1
    assert "why\n<3>UNHEALTHY: " in done.text
    assert "05-bad exited with status 3" in done.text
    assert "10-fine" in done.text.splitlines()[-1]


def test_the_owner_replaces_a_check(root: Path) -> None:
    check(root / "etc/strake/health.d/10-fine", "exit 1")
    assert health(root).returncode == 1


def test_the_owner_takes_a_check_away(root: Path) -> None:
    check(root / "usr/lib/strake/health.d/20-bad", "exit 1")
    (root / "etc/strake/health.d/20-bad").symlink_to("/dev/null")
    assert health(root).returncode == 0


@pytest.mark.parametrize(
    ("comment", "seconds"),
    [
        pytest.param("# timeout: 7", 7, id="its-own"),
        pytest.param("# slow", 60, id="default"),
        pytest.param("# timeout: soon", 60, id="nonsense"),
    ],
)
def test_a_check_that_hangs_is_ended(root: Path, comment: str, seconds: int) -> None:
    check(root / "etc/strake/health.d/10-fine", comment)
    check(root / "bin/timeout", 'echo "$@"; exit 124')
    done = health(root)
    assert done.returncode == 1
    assert f"-k 5 {seconds} " in done.text
    assert f"did not end within {seconds} s" in done.text


def test_what_is_not_executable_is_no_check(root: Path) -> None:
    (root / "etc/strake/health.d/README").write_text("text\n")
    assert health(root).returncode == 0


def preinit(root: Path, call: str) -> Completed:
    """Run functions of preinit with sysfs below `root`."""
    functions = (SCRIPTS / "preinit").read_text().split("\nmount -t proc", 1)[0]
    script = functions.replace("/sys/", f"{root}/sys/").replace("sleep 0.2", ":")
    script = script.replace("/run/strake", f"{root}/run/strake")
    (root / "run/strake").mkdir(parents=True, exist_ok=True)
    return run(["sh", "-c", f"{script}\n{call}"], check=False)


def partition(root: Path, disk: str, number: int, label: str, start: int, size: int) -> None:
    """A partition in a made-up sysfs; sectors of 512 bytes."""
    node = root / f"sys/devices/{disk}/{disk}{number}"
    node.mkdir(parents=True)
    (node / "uevent").write_text(f"DEVNAME={disk}{number}\nDEVTYPE=partition\nPARTNAME={label}\n")
    (node / "start").write_text(f"{start}\n")
    (node / "size").write_text(f"{size}\n")
    (node.parent / "uevent").write_text(f"DEVNAME={disk}\nDEVTYPE=disk\n")
    (node.parent / "size").write_text("1000000\n")
    links = root / "sys/class/block"
    links.mkdir(parents=True, exist_ok=True)
    (links / f"{disk}{number}").symlink_to(node)


def root_on(root: Path, disk: str, number: int) -> None:
    slaves = root / "sys/block/dm-0/slaves"
    slaves.mkdir(parents=True)
    (slaves / f"{disk}{number}").symlink_to(root / f"sys/devices/{disk}/{disk}{number}")


FIND = 'find_partition STATE && echo "$device"'


def test_state_is_found_anywhere(tmp_path: Path) -> None:
    partition(tmp_path, "vda", 1, "ESP", 0, 1)
    partition(tmp_path, "vdb", 2, "STATE", 0, 1)
    assert preinit(tmp_path, FIND).text == "vdb2\n"


def test_state_beside_the_root_wins(tmp_path: Path) -> None:
    partition(tmp_path, "vda", 5, "STATE", 0, 1)
    partition(tmp_path, "vdb", 2, "ROOT-A", 0, 1)
    partition(tmp_path, "vdb", 5, "STATE", 0, 1)
    root_on(tmp_path, "vdb", 2)
    assert preinit(tmp_path, FIND).text == "vdb5\n"


def test_no_state(tmp_path: Path) -> None:
    partition(tmp_path, "vda", 1, "STATEFUL", 0, 1)
    assert preinit(tmp_path, FIND).returncode == 1


@pytest.mark.parametrize(
    ("size", "grows"),
    [
        pytest.param(1000000 - 2048 - 33, False, id="full-disk"),
        pytest.param(500000, True, id="half-a-disk"),
    ],
)
def test_room_behind_state_is_noted(tmp_path: Path, size: int, grows: bool) -> None:
    partition(tmp_path, "vda", 5, "STATE", 2048, size)
    preinit(tmp_path, f"{FIND} && note_room")
    noted = tmp_path / "run/strake/grow"
    assert noted.exists() == grows
    assert not grows or noted.read_text() == "/dev/vda\n"


@pytest.mark.parametrize(
    ("magic", "blank"),
    [
        pytest.param(b"\0\0", True, id="wiped"),
        pytest.param(b"\x53\xef", False, id="ext4"),
        pytest.param(b"\x12\x34", False, id="noise"),
    ],
)
def test_only_a_wiped_state_is_blank(tmp_path: Path, magic: bytes, blank: bool) -> None:
    device = tmp_path / "device"
    device.write_bytes(bytes(1080) + magic + bytes(4096))
    answer = "blkid() { :; }\n" + f"is_blank {device} && echo blank"
    assert (preinit(tmp_path, answer).text == "blank\n") == blank
