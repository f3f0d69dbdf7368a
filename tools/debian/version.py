"""Debian version numbers: `[epoch:]upstream[-revision]`, ordered as Policy 5.6.12 says.

The order is dpkg's: parts of non-digits and digits alternate; in non-digits `~` sorts
before the end of the part, letters before everything else; digits compare as numbers.
"""

from __future__ import annotations

import functools
import re

_PARTS = re.compile(r"([^0-9]*)([0-9]*)")
_VALID = re.compile(r"(?:[0-9]+:[0-9A-Za-z.+:~-]+|[0-9A-Za-z.+~-]+)\Z")

_Run = tuple[tuple[int, ...], int]
_END: _Run = ((0,), 0)


@functools.total_ordering
class Version:
    """One version. Equal are versions that dpkg calls equal, so `0:1.0-0 == 1.0`."""

    __slots__ = ("_key", "text")

    def __init__(self, text: str) -> None:
        """Raises ValueError when `text` is not a version."""
        if not _VALID.match(text):
            raise ValueError(f"not a Debian version: {text!r}")
        self.text = text
        epoch, _, rest = text.partition(":") if ":" in text else ("", "", text)
        upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
        self._key = (int(epoch or 0), _part_key(upstream), _part_key(revision))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Version) and self._key == other._key

    def __lt__(self, other: Version) -> bool:
        return self._key < other._key

    def __hash__(self) -> int:
        return hash(self._key)

    def __repr__(self) -> str:
        return f"Version({self.text!r})"


def compare(left: str, right: str) -> int:
    """-1, 0 or 1 as `left` is older than, the same as or newer than `right`."""
    a, b = Version(left), Version(right)
    return (a > b) - (a < b)


def _part_key(part: str) -> tuple[_Run, ...]:
    # The end of a part ranks 0, between `~` (-1) and letters, and closes every run; one
    # empty run closes the part, so that "1" and "1~" differ where "1~" goes on.
    runs = [(_order(text), int(digits or 0)) for text, digits in _PARTS.findall(part)]
    while len(runs) > 1 and runs[-1] == _END:
        runs.pop()
    return (*runs, _END)


def _order(text: str) -> tuple[int, ...]:
    return (*(_rank(char) for char in text), 0)


def _rank(char: str) -> int:
    if char == "~":
        return -1
    return ord(char) if char.isalpha() else ord(char) + 256
