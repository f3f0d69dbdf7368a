"""The sandbox, entered for real: as whoever runs the tests, and as another user when root."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tools.proc import ProgramFailed, ProgramTimeout
from tools.sandbox import Bind, Sandbox, SandboxError

HOST_AS_TREE = Path("/")


def sandbox(tmp_path: Path, **options: object) -> Sandbox:
    build = tmp_path / "build"
    build.mkdir(exist_ok=True)
    return Sandbox(HOST_AS_TREE, (Bind(build, "/build", writable=True),), **options)  # type: ignore[arg-type]


def sh(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("id -u", "0", id="user-is-root-inside"),
        pytest.param("uname -n", "strake", id="host-name"),
        pytest.param("umask", "0022", id="umask"),
        pytest.param("pwd", "/build", id="working-directory"),
        pytest.param("cat /proc/1/status | grep -c ^Pid:.1$", "1", id="own-process-ids"),
        pytest.param("ls /sys /run | grep -v : | wc -w", "0", id="no-host-runtime"),
        pytest.param("awk -F: 'NR>2 {print $1}' /proc/net/dev | xargs", "lo", id="only-loopback"),
        pytest.param("ls /tmp | wc -l", "0", id="empty-tmp"),
        pytest.param("date +%Z", "UTC", id="time-zone"),
        pytest.param("for f in /proc/self/fd/*; do echo; done | wc -l", "4", id="no-leaked-files"),
    ],
)
def test_what_a_program_sees(tmp_path: Path, script: str, expected: str) -> None:
    assert sandbox(tmp_path).run(sh(script)).text.strip() == expected


def test_the_environment_is_fixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "evil")
    seen = sandbox(tmp_path, env=(("A", "b"),)).run(["/usr/bin/env"]).text.splitlines()
    assert sorted(seen) == [
        "A=b",
        "HOME=/build",
        "LC_ALL=C.UTF-8",
        "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
        "TZ=UTC",
    ]


@pytest.mark.parametrize(
    "path", ["/usr/x", "/etc/x", "/x", "/build/../usr/bin/x"], ids=["usr", "etc", "root", "dots"]
)
def test_the_tree_is_read_only(tmp_path: Path, path: str) -> None:
    with pytest.raises(ProgramFailed, match="Read-only file system"):
        sandbox(tmp_path).run(["/bin/touch", path])


def test_mounts_cannot_be_changed_from_inside(tmp_path: Path) -> None:
    for command in ("mount -o remount,rw /usr", "umount /usr", "mount -t tmpfs none /build"):
        assert sandbox(tmp_path).run(sh(command), check=False).returncode != 0


def test_binds_are_read_only_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/file").write_text("data")
    box = Sandbox(
        HOST_AS_TREE,
        (Bind(tmp_path / "in", "/in/ro"), Bind(tmp_path / "in", "/in/rw", writable=True)),
    )
    box.run(sh("cat /in/ro/file; touch /in/rw/new"))
    assert (tmp_path / "in/new").exists()
    with pytest.raises(ProgramFailed, match="Read-only"):
        box.run(sh("touch /in/ro/other"))


def test_files_written_belong_to_the_caller(tmp_path: Path) -> None:
    sandbox(tmp_path).run(sh("umask; echo x > /build/file"))
    stat = (tmp_path / "build/file").stat()
    assert (stat.st_uid, stat.st_mode & 0o777) == (os.geteuid(), 0o644)


def test_ownership_cannot_be_given_away(tmp_path: Path) -> None:
    assert sandbox(tmp_path).run(sh("touch f; chown 5 f"), check=False).returncode != 0


@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param("exit 7", 7, id="exit"),
        pytest.param("kill -KILL $$", 137, id="signal"),
        pytest.param("(sleep 0.05; exit 1) & exit 4", 4, id="orphan-left-behind"),
    ],
)
def test_the_status_is_passed_on(tmp_path: Path, script: str, status: int) -> None:
    assert sandbox(tmp_path).run(sh(script), check=False).returncode == status


def test_a_missing_tree_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="gone"):
        Sandbox(tmp_path / "gone").run(["/bin/true"])


def test_a_missing_program_is_named(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot run /no/such/program"):
        sandbox(tmp_path).run(["/no/such/program"])


def test_timeout_ends_everything_inside(tmp_path: Path) -> None:
    canary = f"sleep 98765{os.getpid()}"
    with pytest.raises(ProgramTimeout):
        sandbox(tmp_path).run(sh(f"setsid {canary} & {canary}"), timeout=1.0)
    assert canary not in _all_commands()


def test_killing_the_caller_ends_everything_inside(tmp_path: Path) -> None:
    canary = f"sleep 87654{os.getpid()}"
    command = sandbox(tmp_path).command(sh(f"echo up; setsid {canary} & {canary}"))
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        process.kill()
        process.stdout.read()
    assert canary not in _all_commands()


@pytest.mark.parametrize("user", [65534])
def test_another_user_gets_the_same_view(tmp_path: Path, user: int) -> None:
    if os.geteuid() != 0:
        user = os.geteuid()
    command = Sandbox(HOST_AS_TREE, cwd="/").command(sh("id -u; touch /usr/x"))
    command[0] = (
        os.path.realpath("/usr/bin/python3") if not _readable(sys.executable) else command[0]
    )
    done = subprocess.run(command, capture_output=True, user=user, group=user, check=False)
    assert (done.stdout, b"Read-only" in done.stderr) == (b"0\n", True), done.stderr


def test_without_namespaces_nothing_runs(tmp_path: Path) -> None:
    """Inside a sandbox no second one can be made: it must refuse, not run on the spot."""
    inner = sandbox(tmp_path).command(["/bin/touch", "/build/ran"])
    config = json.loads(inner[-1])
    config["binds"] = []
    inner[-1] = json.dumps(config)
    with pytest.raises(SandboxError, match="uid_map|namespace"):
        sandbox(tmp_path).run(inner)
    assert not (tmp_path / "build/ran").exists()


def _readable(path: str) -> bool:
    """Whether every directory above `path` is open to all users."""
    return all(parent.stat().st_mode & 0o005 == 0o005 for parent in Path(path).resolve().parents)


def _all_commands() -> str:
    lines = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        except OSError:
            continue
    return "\n".join(line for line in lines if "enter.py" not in line and "sh -c" not in line)
