"""Put a person in front of a machine's serial console."""

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

LEAVE = b"\x1d"
"""Ctrl-], as telnet has it: the guest needs every other key."""


def show(data: bytes) -> None:
    """Pass the console's bytes on to the terminal: the `tap` of a machine's console."""
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def attach(machine: Machine, keyboard: int | None = None) -> bool:
    """Type what comes from the keyboard until Ctrl-] or until the machine is off.

    Returns whether the machine is off. What the guest shows is the tap's business.
    """
    source = sys.stdin.fileno() if keyboard is None else keyboard
    end = os.pidfd_open(machine.pid)
    try:
        with _raw(source):
            return _relay(machine, source, end)
    finally:
        os.close(end)


def split_leave(data: bytes) -> tuple[bytes, bool]:
    """What is to be typed, and whether the person wants to leave after it."""
    typed, found, _ = data.partition(LEAVE)
    return typed, bool(found)


def _relay(machine: Machine, source: int, end: int) -> bool:
    watched = [source, end]
    while True:
        ready, _, _ = select.select(watched, [], [])
        if end in ready:
            return True
        data = os.read(source, 4096)
        if not data:
            watched = [end]  # nobody types any more; the machine runs on
            continue
        typed, leave = split_leave(data)
        try:
            machine.console.write(typed)
        except VmEnded:
            return True
        if leave:
            return False


@contextmanager
def _raw(terminal: int) -> Iterator[None]:
    """Let every key through, Ctrl-C too; the terminal is as it was afterwards."""
    if not os.isatty(terminal):
        yield
        return
    before = termios.tcgetattr(terminal)
    try:
        tty.setraw(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
