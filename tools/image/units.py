"""Enables units in a tree: finds unit files and presets in it, adds the links."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tools.image import presets
from tools.image.nodes import Kind, Node, content, symlink, with_parents

ORIGIN = "presets"
_SUFFIXES = (
    ".service",
    ".socket",
    ".target",
    ".timer",
    ".path",
    ".mount",
    ".automount",
    ".slice",
    ".swap",
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The system's units, or those of every user."""

    units: str
    presets: str
    links: str


SYSTEM = Scope("usr/lib/systemd/system", "usr/lib/systemd/system-preset", "etc/systemd/system")
USER = Scope("usr/lib/systemd/user", "usr/lib/systemd/user-preset", "etc/systemd/user")


def enable(tree: dict[str, Node], scope: Scope) -> dict[str, str]:
    """Add the links that presets ask for; returns them as `presets.links` does.

    Raises:
        DataError: a preset or an [Install] section is wrong.
    """
    rules = presets.parse_presets(_texts(tree, scope.presets, ".preset"))
    units = {}
    for name in _unit_files(tree, scope):
        drop_ins = _texts(tree, f"{scope.units}/{name}.d", ".conf")
        texts = [_text(tree, f"{scope.units}/{name}"), *(drop_ins[n] for n in sorted(drop_ins))]
        units[name] = presets.parse_install(texts, name)
    links = presets.links(units, rules)
    for path, unit in links.items():
        with_parents(tree, symlink(f"{scope.links}/{path}", f"/{scope.units}/{unit}", ORIGIN))
    return links


def _unit_files(tree: Mapping[str, Node], scope: Scope) -> list[str]:
    prefix = f"{scope.units}/"
    found = []
    for path, node in tree.items():
        name = path.removeprefix(prefix)
        is_unit = path.startswith(prefix) and "/" not in name and name.endswith(_SUFFIXES)
        if is_unit and node.kind in (Kind.FILE, Kind.HARDLINK):
            found.append(name)
    return sorted(found)


def _texts(tree: Mapping[str, Node], folder: str, suffix: str) -> dict[str, str]:
    prefix = f"{folder}/"
    return {
        path.removeprefix(prefix): _text(tree, path)
        for path, node in tree.items()
        if path.startswith(prefix) and path.endswith(suffix) and node.kind is not Kind.SYMLINK
    }


def _text(tree: Mapping[str, Node], path: str) -> str:
    return content(tree, path).decode("utf-8")
