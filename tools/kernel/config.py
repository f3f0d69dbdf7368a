"""The kernel's .config as values by symbol."""

from __future__ import annotations

import re
from collections.abc import Mapping

_SET = re.compile(r"CONFIG_([A-Za-z0-9_]+)=(.*)")


def parse(text: str) -> dict[str, str]:
    """Symbols that have a value, without `CONFIG_`; strings keep their quotes."""
    matches = (_SET.fullmatch(line) for line in text.splitlines())
    return {match[1]: match[2] for match in matches if match}


def value_of(config: Mapping[str, str], symbol: str) -> str:
    """A symbol's value; n when it is not set or does not exist."""
    return config.get(symbol, "n")
