"""`packages.toml`: the packages each set asks for, why, and what the image leaves out.

    [[suite]]                       name, archive ("debian" or "debian-security")
    [groups.NAME.packages]          packages that several sets share: name = "reason"
    [groups.NAME.omit]              as in a set
    [sets.NAME]                     about, groups, on (a set that is there already)
    [sets.NAME.packages]            name = "reason"
    [sets.NAME.omit]                packages taken as given, so neither they nor what they
                                    depend on comes in: name = "reason"
    [[drop]]                        paths, reason: patterns of files the image leaves out

A reason may be empty where the name says it all. A set's `on` names a set that itself lies
on none.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tools.debian.errors import LockError
from tools.debian.lock import ARCHIVES

_Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite to resolve from; `archive` is the directory beside others on a mirror."""

    name: str
    archive: str


@dataclass(frozen=True, slots=True)
class WantedSet:
    """One set: what it asks for, what it takes as given, and the set it lies on."""

    name: str
    packages: tuple[str, ...]
    omit: tuple[str, ...]
    on: str = ""

    @property
    def digest(self) -> str:
        """Hash of the wishes: another one than in the lock means that the lock is stale."""
        text = json.dumps([self.name, self.packages, self.omit, self.on])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Drop:
    """Files the image leaves out. `paths` are fnmatch patterns relative to its root."""

    paths: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """All of `packages.toml`."""

    suites: tuple[Suite, ...]
    sets: tuple[WantedSet, ...]
    drop: tuple[Drop, ...]

    def stale(self, locked: Mapping[str, str]) -> tuple[str, ...]:
        """Sets whose wishes differ from those a lock was made for, and lost ones."""
        wanted = {item.name: item.digest for item in self.sets}
        return tuple(
            sorted(
                name
                for name in wanted.keys() | locked.keys()
                if wanted.get(name) != locked.get(name)
            )
        )


def load(path: Path) -> Wanted:
    """Read and check the file.

    Raises:
        LockError: it cannot be read, or a table is not as described above.
    """
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise LockError(f"cannot read {path}: {error}") from error
    try:
        return _wanted(data)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LockError(f"{path}: {_explain(error)}") from error


def _wanted(data: _Table) -> Wanted:
    groups = _table(data, "groups")
    sets = _table(data, "sets")
    suites = tuple(Suite(item["name"], item["archive"]) for item in _tables(data, "suite"))
    for suite in suites:
        if suite.archive not in ARCHIVES:
            raise ValueError(f"suite {suite.name}: archive is not one of {', '.join(ARCHIVES)}")
    return Wanted(
        suites=suites,
        sets=_ordered(tuple(_set(name, sets[name], groups) for name in sorted(sets))),
        drop=tuple(Drop(tuple(item["paths"]), item["reason"]) for item in _tables(data, "drop")),
    )


def _set(name: str, table: _Table, groups: _Table) -> WantedSet:
    known = {"about", "groups", "on", "packages", "omit"}
    if extra := sorted(table.keys() - known):
        raise ValueError(f"set {name}: unknown key {extra[0]}")
    chosen = table.get("groups", [])
    if not isinstance(chosen, list):
        raise ValueError(f"set {name}: groups is not a list")
    if unknown := sorted(set(chosen) - groups.keys()):
        raise ValueError(f"set {name}: there is no group {unknown[0]}")
    tables = [*((group, groups[group]) for group in chosen), (name, table)]
    return WantedSet(
        name=name,
        packages=_reasons(tables, "packages"),
        omit=_reasons(tables, "omit"),
        on=str(table.get("on", "")),
    )


def _reasons(tables: Iterable[tuple[str, _Table]], key: str) -> tuple[str, ...]:
    """Names from the tables `key`, each of which must map a name to a text."""
    names: set[str] = set()
    for owner, table in tables:
        for package, reason in _table(table, key).items():
            if not isinstance(reason, str):
                raise ValueError(f"{owner}: the reason of {package} is not a text")
            names.add(package)
    return tuple(sorted(names))


def _ordered(sets: tuple[WantedSet, ...]) -> tuple[WantedSet, ...]:
    names = {item.name for item in sets}
    for item in sets:
        if item.on and (item.on not in names or item.on == item.name):
            raise ValueError(f"set {item.name}: lies on unknown set {item.on!r}")
    # What a set below takes as given is given to the sets on it too.
    below = {item.name: item.omit for item in sets}
    whole = [
        replace(item, omit=tuple(sorted({*item.omit, *below[item.on]}))) if item.on else item
        for item in sets
    ]
    return tuple(sorted(whole, key=lambda item: (bool(item.on), item.name)))


def _table(data: _Table, key: str) -> dict[str, Any]:
    value: object = data.get(key, {})
    if not isinstance(value, dict):
        raise ValueError(f"{key} is not a table")
    return value


def _tables(data: _Table, key: str) -> list[dict[str, str]]:
    value: object = data.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"{key} is not a list of tables")
    return value


def _explain(error: Exception) -> str:
    return f"field {error} is missing" if isinstance(error, KeyError) else str(error)
