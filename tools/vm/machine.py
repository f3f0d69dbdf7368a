"""Run one machine, and leave nothing behind.

    with claim(base, "strake") as directory, Machine(spec, programs, directory) as machine:
        machine.console.wait_for("login:", 120)
        machine.ssh("uptime")
        machine.shutdown()

QEMU is our direct child. It ends when the block is left, and, by the kernel's hand, when
the thread that started it dies: start machines from the main thread.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType

from tools.proc import FIXED_ENV, Completed, run
from tools.vm import ssh
from tools.vm.errors import VmEnded, VmError, VmTimeout
from tools.vm.programs import Programs
from tools.vm.qmp import Qmp
from tools.vm.serial import Serial
from tools.vm.spec import SSH_PORT, VmSpec, Wires, qemu_argv

QEMU = "qemu-system-x86_64"
_SHUTDOWN_S = 45.0
_QUIT_S = 5.0

# Runs between fork and QEMU: asks the kernel to end us with our parent, then checks that
# the parent did not end before we asked.
_TRAMPOLINE = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9)
os.getppid() == int(sys.argv[1]) or sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""
_FORWARD = re.compile(r"TCP\[HOST_FORWARD\]\s+\d+\s+\S+\s+(\d+)\s+\S+\s+(\d+)")


class Machine:
    """A running machine. Times count from the moment its process was started.

    Args:
        directory: for the console's log, QEMU's messages and keys.
        key: private ssh key that the guest was told to accept.
        tap: called with the console's raw bytes, from another thread.
        argv: what to run; tests put a stand-in here.
    """

    def __init__(
        self,
        spec: VmSpec,
        programs: Programs,
        directory: Path,
        *,
        key: Path | None = None,
        tap: Callable[[bytes], None] | None = None,
        log_name: str = "console.log",
        argv: Callable[[Wires], tuple[str, ...]] | None = None,
    ) -> None:
        self.spec = spec
        self.programs = programs
        self.directory = directory
        self.log = directory / log_name
        self.key = key
        self.qemu_version = ""
        self._tap = tap
        self._argv = argv or self._qemu
        self._stack = ExitStack()
        self._forwards: dict[int, int] = {}

    def __enter__(self) -> Machine:
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """QEMU's process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the machine is still there."""
        return self._process.poll() is None

    def now(self) -> float:
        """Seconds since power-on."""
        return time.monotonic() - self._power_on

    def port(self, guest: int = SSH_PORT) -> int:
        """The port on the host's loopback that leads to that port of the guest.

        Raises:
            VmError: the machine was made without it.
        """
        if guest not in self._forwards:
            raise VmError(f"port {guest} of machine {self.spec.name} is not forwarded")
        return self._forwards[guest]

    def login(self, user: str = ssh.USER) -> ssh.Login:
        """How to log in.

        Raises:
            VmError: the machine has no key or no forwarded ssh port.
        """
        if self.key is None:
            raise VmError(f"machine {self.spec.name} was made without an ssh key")
        return ssh.Login(self.port(), self.key, user)

    def wait_ssh(self, timeout: float) -> float:
        """Wait for the guest's ssh server; returns the seconds since power-on.

        Raises:
            VmTimeout: it did not answer.
        """
        if not ssh.answers(self.port(), timeout):
            raise VmTimeout(
                f"the ssh server of machine {self.spec.name} did not answer in {timeout:g} s",
                f"see {self.log}",
            )
        return self.now()

    def ssh(
        self,
        command: str,
        *,
        timeout: float = 120.0,
        check: bool = True,
        stdin: bytes = b"",
        user: str = ssh.USER,
    ) -> Completed:
        """Run a shell command in the guest.

        Raises:
            ProgramFailed: `check` is set and the command failed.
            ProgramTimeout: it ran longer than `timeout` seconds.
        """
        argv = self.programs.argv("ssh", *self.login(user).arguments((command,)))
        return run(argv, env=self.programs.env, stdin=stdin, timeout=timeout, check=check)

    def shutdown(self, grace: float = _SHUTDOWN_S) -> bool:
        """Press the power button and wait; a guest that does not obey is ended.

        Returns whether the guest obeyed within `grace` seconds.
        """
        with suppress(VmError):
            self.monitor.powerdown()
        clean = self._wait(grace)
        self.end()
        return clean

    def end(self) -> None:
        """End the machine at once, like a power cut. May be called again."""
        self._stack.close()

    def wait(self, timeout: float) -> None:
        """Wait until the guest has switched itself off.

        Raises:
            VmTimeout: it has not, after `timeout` seconds.
        """
        if not self._wait(timeout):
            raise VmTimeout(f"machine {self.spec.name} is still on after {timeout:g} s")

    def _start(self, stack: ExitStack) -> None:
        pairs = [socket.socketpair() for _ in range(3)]
        ours, theirs = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        for end in theirs:
            stack.callback(end.close)
        wires = Wires(*(end.fileno() for end in theirs))
        self._messages = self.directory / "qemu.log"
        self._power_on = time.monotonic()
        with self._messages.open("wb") as messages:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-ISc",
                    _TRAMPOLINE,
                    str(os.getpid()),
                    *self._argv(wires),
                ],
                env={**FIXED_ENV, **self.programs.env},
                stdin=subprocess.DEVNULL,
                stdout=messages,
                stderr=subprocess.STDOUT,
                pass_fds=[end.fileno() for end in theirs],
                process_group=0,
            )
        for end in theirs:
            end.close()
        self.log.unlink(missing_ok=True)
        self.console = Serial(ours[0], self._power_on, self.log, self._tap)
        stack.callback(self.console.close)
        self.probe = Serial(ours[2], self._power_on)
        stack.callback(self.probe.close)
        self.monitor = Qmp(ours[1])
        stack.callback(self.monitor.close)
        stack.callback(self._kill)
        self._meet()

    def _meet(self) -> None:
        try:
            self.qemu_version = self.monitor.handshake()
            if self.spec.network and self.spec.forwards:
                self._forwards = parse_forwards(self.monitor.human("info usernet"))
        except VmEnded as error:
            self._wait(_QUIT_S)
            said = self._messages.read_text(encoding="utf-8", errors="replace").splitlines()
            reason = next((line for line in reversed(said) if line.strip()), "it said nothing")
            raise VmError(f"QEMU did not start: {reason}", f"see {self._messages}") from error

    def _qemu(self, wires: Wires) -> tuple[str, ...]:
        words = qemu_argv(self.spec, wires, self.programs.data_dirs)
        return self.programs.argv(QEMU, *words)

    def _wait(self, timeout: float) -> bool:
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _kill(self) -> None:
        """End the process by its id: SIGTERM lets QEMU write its disks, SIGKILL is sure."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive:
                break
            self._process.send_signal(sign)
            self._wait(_QUIT_S)


def parse_forwards(text: str) -> dict[int, int]:
    """Guest ports and the host ports that lead there, from `info usernet`."""
    return {int(guest): int(host) for host, guest in _FORWARD.findall(text)}
