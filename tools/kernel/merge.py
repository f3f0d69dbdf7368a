"""Join fragments into one set of asked-for symbols.

Within one layer (a directory of fragments) a symbol may be said once. A later layer, such
as a brand's, may say `override`: it then must replace something, with another value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from tools.kernel.errors import FragmentError
from tools.kernel.fragment import Ask, Fragment


def merge(layers: Sequence[Iterable[Fragment]]) -> Mapping[str, Ask]:
    """All symbols asked for, sorted by name.

    Raises:
        FragmentError: a symbol is said twice, or an override replaces nothing.
    """
    asked: dict[str, Ask] = {}
    for layer in layers:
        earlier = dict(asked)
        said: dict[str, Ask] = {}
        for ask in (ask for fragment in layer for ask in fragment.asks):
            _check(ask, earlier.get(ask.symbol), said.get(ask.symbol))
            said[ask.symbol] = ask
        asked |= said
    return dict(sorted(asked.items()))


def render(asked: Mapping[str, Ask]) -> str:
    """The symbols in the form that KCONFIG_ALLCONFIG reads."""
    return "".join(f"CONFIG_{ask.symbol}={ask.value}\n" for ask in asked.values())


def _check(ask: Ask, earlier: Ask | None, said: Ask | None) -> None:
    name = f"CONFIG_{ask.symbol}"
    other = said or (None if ask.override else earlier)
    if other and other.value == ask.value:
        raise FragmentError(
            f"{name} is said twice: {other.place} and {ask.place}",
            "keep one of the two lines",
        )
    if other:
        raise FragmentError(
            f"{name} is {other.value} at {other.place} and {ask.value} at {ask.place}",
            "keep one of the two lines, or say override in a later directory",
        )
    if ask.override and not earlier:
        raise FragmentError(
            f"{ask.place}: override of {name} replaces nothing",
            "remove the word override",
        )
    if ask.override and earlier and earlier.value == ask.value:
        raise FragmentError(
            f"{ask.place}: override of {name} changes nothing; {earlier.place} says the same",
            "remove the line",
        )
