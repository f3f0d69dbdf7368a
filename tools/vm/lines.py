"""Cut a serial console's bytes into stamped lines.

A pure core: bytes and the time they came go in, whole lines come out. Colour and cursor
sequences are dropped, also when they are split over two reads. A prompt has no line end,
so the unfinished rest can be looked at with `pending`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor, erase
    rb"|\x1b[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)"  # OSC, DCS, …: window titles, markers
    rb"|\x1b[ -/]+[0-~]"  # character sets
    rb"|\x1b[0-OQ-WYZ\\`-~]"  # two-byte functions
)
_UNFINISHED = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*|[\]P^_X][^\x07\x1b]*\x1b?|[ -/]*)\Z",
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]")
MAX_LINE = 8192
"""Longer lines are cut, so that a guest that never ends a line cannot eat our memory."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the console. `at` is in seconds since power-on."""

    at: float
    text: str

    def __str__(self) -> str:
        return f"{self.at:8.3f} {self.text}"


class LineSplitter:
    """Bytes in, lines out; a line carries the time at which its first byte came."""

    def __init__(self) -> None:
        self._rest = b""
        self._began = 0.0

    @property
    def pending(self) -> str:
        """What has come since the last line end, as it would be shown."""
        return _clean(_UNFINISHED.sub(b"", self._rest))

    def feed(self, data: bytes, now: float) -> list[Line]:
        """The lines that `data` completes; blank ones are left out."""
        if not self._rest:
            self._began = now
        *whole, rest = (self._rest + data).split(b"\n")
        lines = []
        for raw in whole:
            lines += self._stamp(raw)
            self._began = now
        while len(rest) > MAX_LINE:
            lines += self._stamp(rest[:MAX_LINE])
            rest, self._began = rest[MAX_LINE:], now
        self._rest = rest
        return lines

    def close(self) -> list[Line]:
        """The unfinished last line, if there is one."""
        rest, self._rest = self._rest, b""
        return self._stamp(rest)

    def _stamp(self, raw: bytes) -> list[Line]:
        text = _clean(raw)
        return [Line(self._began, text)] if text.strip() else []


def _clean(raw: bytes) -> str:
    return _CONTROL.sub(b"", _ESCAPE.sub(b"", raw)).decode("utf-8", "replace").rstrip()
