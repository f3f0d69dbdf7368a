"""The file format of recorded traces.

    # comment
    command arg key=value key=(value, value)
    input lines, if any
    ----
    expected output, up to the next blank line

Expected output that itself holds blank lines is fenced by doubled `----` lines. A backslash
at the end of a command line continues it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FENCE = "----"
_ARGUMENT = re.compile(r"([^\s=]+)(?:=(\([^)]*\)|\S*))?")


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a command: a word, or a key with values."""

    key: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """One command with its input and the output recorded for it. `line` counts from 1."""

    line: int
    command: str
    arguments: tuple[Argument, ...]
    input: str
    expected: str

    @property
    def words(self) -> tuple[str, ...]:
        """Arguments without values."""
        return tuple(arg.key for arg in self.arguments if not arg.values)

    @property
    def options(self) -> dict[str, tuple[str, ...]]:
        """Arguments with values."""
        return {arg.key: arg.values for arg in self.arguments if arg.values}

    def option(self, key: str, default: str = "") -> str:
        """The single value of a key."""
        return self.options.get(key, (default,))[0]


def parse(text: str) -> Iterator[Case]:
    """The cases of a file in order. Raises ValueError when a command has no `----`."""
    lines = text.splitlines()
    at = 0
    while at < len(lines):
        line = lines[at].strip()
        if not line or line.startswith("#"):
            at += 1
            continue
        start = at
        while line.endswith("\\"):
            at += 1
            line = line[:-1] + " " + lines[at].strip()
        fence = _find(lines, _FENCE, at + 1, start)
        body, end = _expected(lines, fence + 1, start)
        command, arguments = _directive(line)
        given = "\n".join(lines[at + 1 : fence])
        yield Case(start + 1, command, arguments, given, body)
        at = end


def _find(lines: list[str], wanted: str, start: int, case: int) -> int:
    try:
        return lines.index(wanted, start)
    except ValueError:
        raise ValueError(f"line {case + 1}: no {wanted} after the command") from None


def _expected(lines: list[str], start: int, case: int) -> tuple[str, int]:
    if start < len(lines) and lines[start] == _FENCE:
        end = _find(lines, _FENCE, start + 1, case)
        while lines[end + 1 : end + 2] != [_FENCE]:
            end = _find(lines, _FENCE, end + 1, case)
        return "\n".join(lines[start + 1 : end]), end + 2
    end = start
    while end < len(lines) and lines[end].strip():
        end += 1
    return "\n".join(lines[start:end]), end


def _directive(line: str) -> tuple[str, tuple[Argument, ...]]:
    command, *rest = line.split(None, 1)
    arguments = []
    for match in _ARGUMENT.finditer(rest[0] if rest else ""):
        key, value = match.group(1), match.group(2)
        values = () if value is None else tuple(re.split(r"[,\s]+", value.strip("()").strip()))
        arguments.append(Argument(key, values))
    return command, tuple(arguments)
