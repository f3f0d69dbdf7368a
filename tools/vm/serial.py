"""Listen to a guest's serial console.

A thread reads it all the time, because a guest whose console nobody drains stands still.
Lines are stamped with the seconds since power-on, kept, and written to a log file that
can be followed while the machine runs.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from tools.vm.errors import VmEnded, VmTimeout
from tools.vm.lines import Line, LineSplitter

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Match:
    """What a watch found: which pattern, in which line."""

    pattern: str
    line: Line


class Serial:
    """One serial port of one machine.

    Args:
        connection: our end of the socket pair; owned from here on.
        power_on: `time.monotonic()` of the moment that counts as 0.
        log: file for the stamped lines; None keeps them in memory only.
        tap: called with the raw bytes as they come, from the reading thread.
    """

    def __init__(
        self,
        connection: socket.socket,
        power_on: float,
        log: Path | None = None,
        tap: Callable[[bytes], None] | None = None,
    ) -> None:
        self._socket = connection
        self._power_on = power_on
        self._log = log
        self._tap = tap
        self._lines: list[Line] = []
        self._splitter = LineSplitter()
        self._seen_at = 0.0
        self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._listen, name="serial", daemon=True)
        self._thread.start()

    @property
    def lines(self) -> tuple[Line, ...]:
        """All whole lines so far."""
        with self._news:
            return tuple(self._lines)

    @property
    def text(self) -> str:
        """All whole lines so far, without times."""
        return "\n".join(line.text for line in self.lines)

    def mark(self) -> int:
        """A place in the log to start a later `wait_for` from; a prompt now open is before it."""
        with self._news:
            return len(self._lines) + bool(self._splitter.pending)

    def write(self, data: bytes) -> None:
        """Type on the console.

        Raises:
            VmEnded: nobody is there any more.
        """
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise VmEnded("the machine's console is closed") from error

    def wait_for(self, patterns: str | Sequence[str], timeout: float, since: int = 0) -> Match:
        """The first line from `since` on that one of the regular expressions is found in.

        A prompt counts before its line ends. Patterns are tried in their order.

        Raises:
            VmTimeout: none came within `timeout` seconds.
            VmEnded: the console closed first.
        """
        wanted = [patterns] if isinstance(patterns, str) else list(patterns)
        compiled = [re.compile(pattern) for pattern in wanted]
        deadline = time.monotonic() + timeout
        at = since
        with self._news:
            while True:
                open_line = Line(self._seen_at, self._splitter.pending)
                for line in [*self._lines, open_line][at:]:
                    for pattern in compiled:
                        if pattern.search(line.text):
                            return Match(pattern.pattern, line)
                at = max(at, len(self._lines))
                if self._ended:
                    raise VmEnded(f"the machine ended before {_any(wanted)}", self._tail())
                left = deadline - time.monotonic()
                if left <= 0:
                    raise VmTimeout(
                        f"the console did not show {_any(wanted)} within {timeout:g} s",
                        self._tail(),
                    )
                self._news.wait(left)

    def close(self) -> None:
        """Stop listening; what came so far stays readable."""
        with contextlib.suppress(OSError):  # the other side may have been first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()

    def _tail(self) -> str:
        last = " | ".join(line.text for line in self._lines[-_SHOWN:])
        place = f"; all of it is in {self._log}" if self._log else ""
        return f"it ends with: {last or 'nothing at all'}{place}"

    def _listen(self) -> None:
        log = self._log.open("a", encoding="utf-8") if self._log else None
        try:
            while data := self._receive():
                now = time.monotonic() - self._power_on
                if self._tap is not None:
                    self._tap(data)
                self._take(self._splitter.feed(data, now), now, log)
                if log is not None:
                    log.flush()
            self._take(self._splitter.close(), self._seen_at, log)
        finally:
            if log is not None:
                log.close()
            with self._news:
                self._ended = True
                self._news.notify_all()

    def _receive(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except OSError:
            return b""

    def _take(self, lines: list[Line], now: float, log: TextIO | None) -> None:
        if log is not None:
            for line in lines:
                log.write(f"{line}\n")
        with self._news:
            self._seen_at = now
            self._lines += lines
            self._news.notify_all()


def _any(patterns: Sequence[str]) -> str:
    return " or ".join(f"“{pattern}”" for pattern in patterns)
