"""Give a person the serial console of a machine: raw keys in, raw bytes out."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from tools.vm.errors import VmEnded
from tools.vm.machine import Machine

ESCAPE = b"\x01"
"""Ctrl-A, as in QEMU and screen: followed by x it leaves, by another Ctrl-A it is sent."""
_POLL_S = 0.2


def show(data: bytes) -> None:
    """Pass the guest's bytes on to our terminal."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def attach(machine: Machine) -> None:
    """Relay keys until the machine has ended or the person leaves with Ctrl-A X."""
    keys = Keys()
    with _raw(sys.stdin.fileno()):
        while machine.alive:
            readable, _, _ = select.select([sys.stdin], [], [], _POLL_S)
            if not readable:
                continue
            data = os.read(sys.stdin.fileno(), 4096)
            typed, leave = keys.feed(data)
            try:
                machine.console.write(typed)
            except VmEnded:
                return
            if leave or not data:
                return


class Keys:
    """Finds the escape sequence in what is typed."""

    def __init__(self) -> None:
        self._escaped = False

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """What to send to the guest, and whether the person wants to leave."""
        out = bytearray()
        for byte in data:
            key = bytes((byte,))
            if self._escaped:
                self._escaped = False
                if key in (b"x", b"X"):
                    return bytes(out), True
                out += key if key == ESCAPE else ESCAPE + key
            elif key == ESCAPE:
                self._escaped = True
            else:
                out += key
        return bytes(out), False


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
