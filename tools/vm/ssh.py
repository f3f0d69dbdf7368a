"""Log in to a machine: a key pair per machine, and the words of ssh's command line."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.proc import run
from tools.vm.programs import Programs

USER = "core"
_POLL_S = 0.25
_BANNER_S = 5.0


@dataclass(frozen=True, slots=True)
class Login:
    """How to reach a machine by ssh."""

    port: int
    key: Path
    user: str = USER

    def arguments(self, command: Sequence[str] = (), *, terminal: bool = False) -> tuple[str, ...]:
        """ssh's arguments. `command` is joined by spaces and read by the guest's shell.

        The host key is not checked: it was made a moment ago, on the other side of a
        loopback connection to a process that we started.
        """
        options = {
            "IdentitiesOnly": "yes",
            "IdentityFile": str(self.key),
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "BatchMode": "yes",
            "LogLevel": "ERROR",
            "ConnectTimeout": "30",
            "ServerAliveInterval": "15",
        }
        words = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        words += ["-t"] if terminal else []
        return (
            "-F",
            "/dev/null",
            *words,
            "-p",
            str(self.port),
            f"{self.user}@127.0.0.1",
            *command,
        )


def make_key(directory: Path, programs: Programs) -> Path:
    """A new ed25519 key in `directory`; returns the private file, the public one is beside it."""
    key = directory / "id_ed25519"
    for stale in (key, key.with_suffix(".pub")):
        stale.unlink(missing_ok=True)
    words = ("-q", "-t", "ed25519", "-N", "", "-C", "strake-vm", "-f", key)
    run(programs.argv("ssh-keygen", *words), env=programs.env)
    return key


def public_key(key: Path) -> str:
    """The line for authorized_keys."""
    return key.with_suffix(".pub").read_text(encoding="utf-8").strip()


def answers(port: int, timeout: float) -> bool:
    """Wait until an ssh server speaks on that port of the loopback interface.

    QEMU accepts connections long before the guest does, so the server's greeting is what
    counts. False when `timeout` seconds pass without it.
    """
    deadline = time.monotonic() + timeout
    while True:
        if _greets(port):
            return True
        if time.monotonic() + _POLL_S > deadline:
            return False
        time.sleep(_POLL_S)


def _greets(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), _BANNER_S) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
