from __future__ import annotations

import os
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from tools.vm.console import LEAVE, attach, split_leave
from tools.vm.errors import VmEnded


class Typed:
    def __init__(self, ended: bool = False) -> None:
        self.data = b""
        self.ended = ended

    def write(self, data: bytes) -> None:
        if self.ended:
            raise VmEnded("gone")
        self.data += data


def run(keys: bytes, process: subprocess.Popen[bytes], console: Typed) -> bool:
    reader, writer = os.pipe()
    os.write(writer, keys)
    os.close(writer)
    machine: Any = SimpleNamespace(pid=process.pid, console=console)
    try:
        return attach(machine, reader)
    finally:
        os.close(reader)
        process.kill()
        process.wait()


def sleeper() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-ISc", "import signal; signal.pause()"])


def test_keys_are_typed_until_leaving() -> None:
    console = Typed()
    assert run(b"ls\r" + LEAVE + b"lost", sleeper(), console) is False
    assert console.data == b"ls\r"


def test_a_machine_that_is_off_ends_it() -> None:
    process = subprocess.Popen([sys.executable, "-ISc", ""])
    assert run(b"", process, Typed()) is True


def test_a_closed_console_ends_it() -> None:
    assert run(b"x", sleeper(), Typed(ended=True)) is True


@pytest.mark.parametrize(
    ("keys", "typed", "leave"),
    [(b"abc", b"abc", False), (LEAVE, b"", True), (b"\x03", b"\x03", False)],
    ids=["text", "leave", "interrupt-goes-to-the-guest"],
)
def test_keys(keys: bytes, typed: bytes, leave: bool) -> None:
    assert split_leave(keys) == (typed, leave)
