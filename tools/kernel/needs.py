"""What other programs need of a kernel, checked against the fragments.

A table (TOML) is one program's published list, as facts:

    about = "whose list, and of which version"
    need = ["CGROUPS", …]          symbols that must be asked for with y
    avoid = ["RT_GROUP_SCHED", …]  symbols that must not be on
    [except]                       members of either list that we do not follow, and why
    SECURITY_APPARMOR = "…"
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.kernel.errors import FragmentError


@dataclass(frozen=True, slots=True)
class Needs:
    """One program's list; see the module's docstring."""

    name: str
    about: str
    need: tuple[str, ...]
    avoid: tuple[str, ...]
    exceptions: Mapping[str, str]


def parse(text: str, name: str) -> Needs:
    """Read a table. Raises FragmentError when it is malformed or an exception is no member."""
    try:
        raw = tomllib.loads(text)
        needs = Needs(
            name,
            str(raw["about"]),
            tuple(raw["need"]),
            tuple(raw.get("avoid", ())),
            dict(raw.get("except", {})),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise FragmentError(f"{name}: not a table of needs: {error}") from error
    for symbol, reason in needs.exceptions.items():
        if symbol not in needs.need + needs.avoid:
            raise FragmentError(f"{name}: exception {symbol} is in no list")
        if not reason.strip():
            raise FragmentError(f"{name}: exception {symbol} has no reason")
    return needs


def problems(needs: Needs, values: Mapping[str, str]) -> Iterator[str]:
    """One line for each symbol that is not as the table says.

    An exception for a symbol that is as the list wants it is a problem too.
    """
    for symbols, wanted in ((needs.need, True), (needs.avoid, False)):
        for symbol in symbols:
            right = (values.get(symbol, "n") == "y") is wanted
            if right and symbol in needs.exceptions:
                yield f"{needs.name}: CONFIG_{symbol} is as wanted; drop its exception"
            if not right and symbol not in needs.exceptions:
                verb = "needs" if wanted else "wants without"
                yield f"{needs.name}: {needs.about} {verb} CONFIG_{symbol}"
