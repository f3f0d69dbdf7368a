"""Compare a .config with what was asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from tools.kernel.config import value_of
from tools.kernel.fragment import Ask


@dataclass(frozen=True, slots=True)
class Lost:
    """An ask that did not come true. `became` is the value, n, or `nothing` for no symbol."""

    ask: Ask
    became: str


def lost(asks: Iterable[Ask], config: Mapping[str, str]) -> tuple[Lost, ...]:
    """The asks that did not survive, in the given order."""
    return tuple(
        Lost(ask, became)
        for ask in asks
        if not _same(ask.value, became := value_of(config, ask.symbol))
    )


def nameless(asks: Iterable[Ask], known: Collection[str]) -> tuple[Lost, ...]:
    """The asks for n that name no symbol: they look true, and guard nothing."""
    return tuple(
        Lost(ask, "nothing") for ask in asks if ask.value == "n" and ask.symbol not in known
    )


def _same(asked: str, became: str) -> bool:
    if asked.startswith("0x") and became.startswith("0x"):
        return int(asked, 16) == int(became, 16)
    return asked == became
