from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.vm.errors import VmEnded, VmTimeout
from tools.vm.serial import Serial


@pytest.fixture
def pair() -> Iterator[tuple[Serial, socket.socket]]:
    ours, theirs = socket.socketpair()
    serial = Serial(ours, time.monotonic())
    with theirs:
        yield serial, theirs
        serial.close()


Pair = tuple[Serial, socket.socket]


def test_a_line_is_found(pair: Pair) -> None:
    serial, guest = pair
    guest.sendall(b"one\ntwo 42\nthree\n")
    match = serial.wait_for(r"two \d+", 10)
    assert (match.pattern, match.line.text) == (r"two \d+", "two 42")
    assert match.line.at >= 0


def test_a_prompt_is_found_before_its_line_ends(pair: Pair) -> None:
    serial, guest = pair
    guest.sendall(b"\x1b[0mstrake login: ")
    assert serial.wait_for("login:", 10).line.text == "strake login:"


def test_the_first_of_several_patterns_is_told(pair: Pair) -> None:
    serial, guest = pair
    guest.sendall(b"Kernel panic - not syncing\n")
    assert serial.wait_for(["login:", "Kernel panic"], 10).pattern == "Kernel panic"


def test_a_mark_hides_what_came_before(pair: Pair) -> None:
    serial, guest = pair
    guest.sendall(b"login:\n")
    serial.wait_for("login:", 10)
    mark = serial.mark()
    with pytest.raises(VmTimeout):
        serial.wait_for("login:", 0, since=mark)
    guest.sendall(b"login:\n")
    serial.wait_for("login:", 10, since=mark)


def test_a_mark_hides_the_prompt_that_is_open(pair: Pair) -> None:
    serial, guest = pair
    guest.sendall(b"up\nlogin: ")
    serial.wait_for("login:", 10)
    mark = serial.mark()
    guest.sendall(b"\r\nnext\n")
    serial.wait_for("next", 10, since=mark)
    with pytest.raises(VmTimeout):
        serial.wait_for("login:", 0, since=mark)


def test_a_timeout_shows_the_end_of_the_log(pair: Pair) -> None:
    serial, guest = pair
    guest.sendall(b"stuck here\n")
    serial.wait_for("stuck", 10)
    with pytest.raises(VmTimeout, match="“login:” or “panic” within 0 s") as caught:
        serial.wait_for(["login:", "panic"], 0)
    assert "stuck here" in caught.value.hint


def test_the_end_is_told_at_once(pair: Pair) -> None:
    serial, guest = pair
    guest.sendall(b"half")
    guest.close()
    with pytest.raises(VmEnded):
        serial.wait_for("login:", 60)
    assert serial.text == "half"


def test_typing_reaches_the_guest(pair: Pair) -> None:
    serial, guest = pair
    serial.write(b"root\n")
    assert guest.recv(16) == b"root\n"


def test_typing_at_nobody_is_an_error(pair: Pair) -> None:
    serial, guest = pair
    guest.close()
    with pytest.raises(VmEnded):
        serial.wait_for("x", 60)
    with pytest.raises(VmEnded):
        serial.write(b"x")


def test_lines_go_to_the_log_and_bytes_to_the_tap(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    raw: list[bytes] = []
    serial = Serial(ours, time.monotonic(), tmp_path / "log", raw.append)
    theirs.sendall(b"\x1b[1ma\r\n")
    theirs.close()
    with pytest.raises(VmEnded):
        serial.wait_for("b", 60)
    serial.close()
    assert (tmp_path / "log").read_text().split() == [f"{serial.lines[0].at:.3f}", "a"]
    assert b"".join(raw) == b"\x1b[1ma\r\n"
