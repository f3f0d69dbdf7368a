from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.vm.errors import VmEnded, VmError, VmTimeout
from tools.vm.machine import Machine, parse_forwards
from tools.vm.programs import Programs
from tools.vm.spec import Direct, VmSpec, Wires

SPEC = VmSpec("dummy", Direct(Path("/none"), ""))
HOST = Programs(Path("/"))
USERNET = """Hub -1 (net0):\r
  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r
  TCP[ESTABLISHED]   9       127.0.0.1 43151       10.0.2.15    22     0     0\r
  TCP[HOST_FORWARD]  3       127.0.0.1 43151       10.0.2.15    22     0     0\r
  TCP[HOST_FORWARD] 12       127.0.0.1 40000       10.0.2.15  2379     0     0\r
  UDP[236 sec]      14       10.0.2.15 35061       10.0.2.3     53     0     0\r
"""

# Speaks enough of the monitor's protocol to be taken for QEMU, and never ends by itself.
DUMMY = textwrap.dedent(
    """
    import json, signal, socket, sys
    monitor, console = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    for name in sys.argv[3:]:
        if name == "deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
    stream = monitor.makefile("rw")
    def say(message):
        stream.write(json.dumps(message) + "\\n"); stream.flush()
    console.sendall(b"dummy up\\n")
    say({"QMP": {"version": {"qemu": {"major": 9, "minor": 1, "micro": 2}}}})
    for line in stream:
        request = json.loads(line)
        if request["execute"] == "system_powerdown" and "obeys" in sys.argv:
            sys.exit(0)
        text = USERNET if request["execute"] == "human-monitor-command" else {}
        say({"return": text, "id": request["id"]})
    signal.pause()
    """
).replace("USERNET", repr(USERNET))


def dummy(*traits: str) -> Callable[[Wires], tuple[str, ...]]:
    return lambda wires: (
        *(sys.executable, "-ISc", DUMMY, str(wires.monitor), str(wires.console)),
        *traits,
    )


def exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_machine_starts_and_ends_with_its_block(tmp_path: Path) -> None:
    with Machine(SPEC, HOST, tmp_path, argv=dummy()) as machine:
        machine.console.wait_for("dummy up", 60)
        assert machine.qemu_version == "9.1.2"
        assert machine.port() == 43151
        assert machine.alive
    assert not exists(machine.pid)
    assert machine.log.read_text().endswith("dummy up\n")


def test_an_error_inside_ends_it_too(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), Machine(SPEC, HOST, tmp_path, argv=dummy()) as machine:
        raise KeyboardInterrupt
    assert not exists(machine.pid)


def test_shutdown_tells_whether_the_guest_obeyed(tmp_path: Path) -> None:
    with Machine(SPEC, HOST, tmp_path, argv=dummy("obeys")) as machine:
        assert machine.shutdown(60)
    with Machine(SPEC, HOST, tmp_path, argv=dummy()) as machine:
        assert not machine.shutdown(0)
        assert not exists(machine.pid)


def test_one_that_ignores_the_polite_signal_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.vm.machine._QUIT_S", 0.2)
    with Machine(SPEC, HOST, tmp_path, argv=dummy("deaf")) as machine:
        machine.console.wait_for("dummy up", 60)
    assert machine._process.returncode == -signal.SIGKILL


def test_it_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    script = textwrap.dedent(
        f"""
        import os, signal
        from pathlib import Path
        from tools.vm.machine_test import Machine, SPEC, HOST, dummy
        with Machine(SPEC, HOST, Path({str(tmp_path)!r}), argv=dummy()) as machine:
            print(machine.pid, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=env,
        stdout=subprocess.PIPE,
        check=False,
        text=True,
    )
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


def gone(pid: int) -> bool:
    """Wait for the kernel to have delivered the signal; the orphan may linger as a zombie."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 60)[0])
    finally:
        os.close(handle)


def test_a_machine_that_cannot_start_says_why(tmp_path: Path) -> None:
    def broken(_wires: Wires) -> tuple[str, ...]:
        return ("/bin/sh", "-c", "echo qemu: no such disk >&2; exit 1")

    with (
        pytest.raises(VmError, match="QEMU did not start: qemu: no such disk"),
        Machine(SPEC, HOST, tmp_path, argv=broken),
    ):
        pass


def test_waiting_for_the_end(tmp_path: Path) -> None:
    with Machine(SPEC, HOST, tmp_path, argv=dummy()) as machine:
        with pytest.raises(VmTimeout):
            machine.wait(0)
        os.kill(machine.pid, signal.SIGKILL)
        machine.wait(60)
        with pytest.raises(VmEnded):
            machine.console.wait_for("login:", 60)


@pytest.mark.parametrize(("guest", "host"), [(22, 43151), (2379, 40000)])
def test_forwards_are_read(guest: int, host: int) -> None:
    assert parse_forwards(USERNET)[guest] == host


def test_a_port_that_is_not_forwarded(tmp_path: Path) -> None:
    with Machine(SPEC, HOST, tmp_path, argv=dummy()) as machine:
        with pytest.raises(VmError, match="port 80"):
            machine.port(80)
        with pytest.raises(VmError, match="without an ssh key"):
            machine.login()
