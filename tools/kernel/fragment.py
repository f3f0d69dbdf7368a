"""Config fragments: one file per concern, one symbol per line, each with its reason.

    # Comment lines and blank lines are free.
    CONFIG_VETH=y  # a container's cable
    CONFIG_NR_CPUS=256  # the largest common machines have 192
    CONFIG_LSM="landlock,yama"  # their order
    CONFIG_KEXEC=n  # replaces a verified kernel
    override CONFIG_USB_SUPPORT=y  # this brand runs on bare metal

Rules:
    1. A value is y, n, a decimal or hexadecimal number, or a string in double quotes.
       `m` is refused: this kernel has no modules.
    2. The reason follows two spaces, `#` and a space, and has at least one letter.
    3. `override` replaces what an earlier directory of fragments said, and only that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from tools.kernel.errors import FragmentError

SUFFIX = ".config"

_LINE = re.compile(
    r"(?P<override>override )?CONFIG_(?P<symbol>[A-Za-z0-9_]+)="
    r"(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s\"]+)(?:  # (?P<reason>.*\S))?\s*"
)
_VALUE = re.compile(r"y|n|-?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+|\".*\"")


@dataclass(frozen=True, slots=True)
class Ask:
    """One symbol somebody asks for. `symbol` is without `CONFIG_`, `place` is file:line."""

    symbol: str
    value: str
    reason: str
    place: str
    override: bool = False

    def render(self) -> str:
        """The line of a fragment that says this."""
        override = "override " if self.override else ""
        return f"{override}CONFIG_{self.symbol}={self.value}  # {self.reason}"


@dataclass(frozen=True, slots=True)
class Fragment:
    """One file: its name and what it asks for, in its order."""

    name: str
    asks: tuple[Ask, ...]


def parse(text: str, name: str) -> Fragment:
    """Read one fragment.

    Raises:
        FragmentError: a line is malformed, wants a module, or gives no reason.
    """
    lines = ((f"{name}:{number}", line) for number, line in enumerate(text.split("\n"), 1))
    asks = (_parse_line(line, place) for place, line in lines if _says_something(line))
    return Fragment(name, tuple(asks))


def load_directory(directory: Path) -> tuple[Fragment, ...]:
    """Read all fragments of a directory, by name.

    Raises:
        FragmentError: there is none, or one is malformed or not UTF-8.
    """
    paths = sorted(directory.glob(f"*{SUFFIX}"))
    if not paths:
        raise FragmentError(f"{directory} holds no fragment (*{SUFFIX})")
    return tuple(parse(_read(path), path.name) for path in paths)


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise FragmentError(f"{path.name} is not UTF-8 text") from error


def _says_something(line: str) -> bool:
    return bool(line.strip()) and not line.startswith("#")


def _parse_line(line: str, place: str) -> Ask:
    match = _LINE.fullmatch(line)
    if not match:
        raise FragmentError(
            f"{place}: this is not a line of a fragment: {line.strip()}",
            "write CONFIG_NAME=value, two spaces, # and the reason",
        )
    symbol, value = match["symbol"], match["value"]
    if value == "m":
        raise FragmentError(
            f"{place}: CONFIG_{symbol}=m asks for a module",
            "build it in with =y: there are none",
        )
    if not _VALUE.fullmatch(value):
        raise FragmentError(
            f"{place}: CONFIG_{symbol} has the value {value}",
            'a value is y, n, a number, or "text" in double quotes',
        )
    reason = match["reason"] or ""
    if not any(char.isalpha() for char in reason):
        raise FragmentError(f"{place}: CONFIG_{symbol} has no reason", "end the line with  # why")
    return Ask(symbol, value, reason, place, override=match["override"] is not None)
