"""The part of an index that a set of packages could ever need.

apt reads every paragraph it is given, each time it is asked; an index has tens of thousands
and a resolution touches hundreds. So it gets only what can be reached from the wanted names
by dependencies of any alternative and through every provider: a superset of whatever apt
could choose, since nothing else can come in without recommended packages.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

_NAME = re.compile(r"(?:^|[,|])\s*([a-z0-9][a-z0-9.+-]*)")
_PROVIDES = re.compile(r"^Provides: (.*)$", re.MULTILINE)
_NEEDS = re.compile(r"^(?:Pre-)?Depends: (.*)$", re.MULTILINE)


def names(relation: str) -> list[str]:
    """Package names of a relation field, every alternative, without versions."""
    return _NAME.findall(relation)


def reachable(wanted: Iterable[str], blocks: Mapping[str, Iterable[str]]) -> set[str]:
    """Names that can be reached from the wanted ones.

    Args:
        blocks: unparsed paragraphs by package name; relation fields are on one line, as
            the archive writes them.
    """
    providers = _providers(blocks)
    found: set[str] = set()
    queue = list(wanted)
    while queue:
        name = queue.pop()
        if name in found:
            continue
        found.add(name)
        queue += providers.get(name, ())
        for block in blocks.get(name, ()):
            for relation in _NEEDS.findall(block):
                queue += names(relation)
    return found


def _providers(blocks: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    providers: dict[str, list[str]] = {}
    for name, versions in blocks.items():
        for block in versions:
            if match := _PROVIDES.search(block):
                for provided in names(match[1]):
                    providers.setdefault(provided, []).append(name)
    return providers
