"""The package lock: what every set holds, to the bit, and nothing about where it is.

`packages.lock` is JSON with one line per package, sorted by name, so that a change of one
package is a change of one line. It names no host: a package is a path inside an archive,
a hash and a size, and any mirror will do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from tools.debian.errors import LockError
from tools.debian.version import Version

FORMAT = 1
ARCHIVES = ("debian", "debian-security")

_HASH = re.compile(r"[0-9a-f]{64}\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]*\Z")
_MEND = "run ./strake lock to write it anew, or take it from version control"


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """One binary package. `pool` starts with the archive's name; `size` is in bytes."""

    name: str
    version: str
    arch: str
    suite: str
    pool: str
    sha256: str
    size: int
    sets: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """The JSON form, in the order the file has."""
        return {
            "name": self.name,
            "version": self.version,
            "arch": self.arch,
            "suite": self.suite,
            "pool": self.pool,
            "sha256": self.sha256,
            "size": self.size,
            "sets": list(self.sets),
        }


@dataclass(frozen=True, slots=True)
class LockedSuite:
    """A suite as it was: the hash of its InRelease file and its date, seconds since 1970."""

    name: str
    sha256: str
    date: int


@dataclass(frozen=True, slots=True)
class Lock:
    """A whole lock. `epoch` is the newest suite's date; `wanted` hashes each set's wishes."""

    epoch: int
    suites: tuple[LockedSuite, ...]
    packages: tuple[LockedPackage, ...]
    wanted: Mapping[str, str]

    @property
    def sets(self) -> tuple[str, ...]:
        """Names of all sets, sorted."""
        return tuple(sorted({name for package in self.packages for name in package.sets}))

    def subset(self, set_name: str) -> tuple[LockedPackage, ...]:
        """The packages of one set, by name.

        Raises:
            LockError: the lock has no such set.
        """
        found = tuple(package for package in self.packages if set_name in package.sets)
        if not found:
            raise LockError(
                f"the lock has no set {set_name!r}; it has {', '.join(self.sets)}",
                "add the set to os/packages/packages.toml, then run ./strake lock",
            )
        return found


def load(path: Path) -> Lock:
    """Read and validate a lock file.

    Raises:
        LockError: it cannot be read, or an entry is wrong; the message names the entry.
    """
    try:
        return parse(path.read_text("utf-8"), str(path))
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise LockError(f"cannot read {path}: {reason}", _MEND) from error


def parse(text: str, where: str) -> Lock:
    """As `load`, from text; `where` names it in messages."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise LockError(f"{where} is not JSON: {error}", _MEND) from error
    top = _Entry(data, where, "top level")
    if (version := top.integer("version")) != FORMAT:
        raise LockError(f"{where} has format {version}, this is format {FORMAT}", _MEND)
    wanted = data.get("wanted", {})
    if not isinstance(wanted, dict):
        top.fail("wanted is not an object")
    lock = Lock(
        epoch=top.integer("epoch"),
        suites=tuple(_suite(item, where) for item in top.array("suites")),
        packages=packages_from(top.array("packages"), where),
        wanted=wanted,
    )
    if not lock.packages:
        top.fail("packages is empty")
    return lock


def packages_from(items: Iterable[object], where: str) -> tuple[LockedPackage, ...]:
    """Validated packages, by name, from decoded JSON: a whole lock's or a step's subset.

    Raises:
        LockError: an entry is malformed or there twice; the message names it.
    """
    packages: dict[str, LockedPackage] = {}
    for item in items:
        package = _package(item, where)
        if package.name in packages:
            raise LockError(f"{where}: package {package.name} is there twice", _MEND)
        packages[package.name] = package
    return tuple(packages[name] for name in sorted(packages))


def load_packages(path: Path) -> tuple[LockedPackage, ...]:
    """The packages of a subset file: a JSON list in the lock's own form.

    Raises:
        LockError: it cannot be read or an entry is malformed.
    """
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LockError(f"cannot read {path}: {error}", _MEND) from error
    if not isinstance(data, list):
        raise LockError(f"{path} is not a list of packages", _MEND)
    return packages_from(data, str(path))


def dump(lock: Lock) -> str:
    """The file's text: stable for equal locks."""
    suites = [
        {"name": suite.name, "sha256": suite.sha256, "date": suite.date} for suite in lock.suites
    ]
    packages = sorted(lock.packages, key=lambda package: package.name)
    parts = [
        f'"version": {FORMAT}',
        f'"epoch": {lock.epoch}',
        f'"suites": {_lines(suites)}',
        f'"wanted": {json.dumps(dict(sorted(lock.wanted.items())), indent=1)}',
        f'"packages": {_lines([package.as_dict() for package in packages])}',
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def dump_packages(packages: Iterable[LockedPackage]) -> str:
    """The text of a subset file, as `load_packages` reads it."""
    ordered = sorted(packages, key=lambda package: package.name)
    return _lines([package.as_dict() for package in ordered]) + "\n"


@dataclass(frozen=True, slots=True)
class Change:
    """A package that differs between two locks; "" stands for a lock without it.

    `sets` are those it is in after; they are what changed when the versions are equal.
    """

    name: str
    before: str
    after: str
    sets: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.before == self.after:
            return f"{self.name} {self.after} (now in {', '.join(self.sets)})"
        if not self.before:
            return f"{self.name} {self.after} (new)"
        if not self.after:
            return f"{self.name} {self.before} (gone)"
        older = Version(self.after) < Version(self.before)
        return f"{self.name} {self.before} -> {self.after}{' (older)' if older else ''}"


def changes(before: Lock, after: Lock) -> tuple[Change, ...]:
    """Packages that came, went, have another version or are in other sets, by name."""
    old = {package.name: package for package in before.packages}
    new = {package.name: package for package in after.packages}
    found = []
    for name in sorted(old.keys() | new.keys()):
        was, now = old.get(name), new.get(name)
        if was is None or now is None or (was.version, was.sets) != (now.version, now.sets):
            versions = (was.version if was else "", now.version if now else "")
            found.append(Change(name, *versions, now.sets if now else ()))
    return tuple(found)


def _lines(items: Iterable[Mapping[str, object]]) -> str:
    body = ",\n".join("  " + json.dumps(item, separators=(", ", ": ")) for item in items)
    return f"[\n{body}\n]" if body else "[]"


class _Entry:
    """A JSON object that is read with types and complains with its own name."""

    def __init__(self, data: object, where: str, label: str) -> None:
        self._where, self._label = where, label
        if not isinstance(data, dict):
            self.fail("is not an object")
        self._data = data

    def text(self, key: str) -> str:
        value = self._get(key)
        if not isinstance(value, str) or not value:
            self.fail(f"{key} is not a text: {value!r}")
        return value

    def integer(self, key: str) -> int:
        value = self._get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            self.fail(f"{key} is not a number: {value!r}")
        return value

    def array(self, key: str) -> list[object]:
        value = self._get(key)
        if not isinstance(value, list):
            self.fail(f"{key} is not a list")
        return value

    def digest(self) -> str:
        value = self.text("sha256")
        if not _HASH.match(value):
            self.fail(f"sha256 is not 64 hex digits: {value!r}")
        return value

    def fail(self, reason: str) -> NoReturn:
        raise LockError(f"{self._where}: {self._label}: {reason}", _MEND)

    def _get(self, key: str) -> object:
        if key not in self._data:
            self.fail(f"field {key} is missing")
        return self._data[key]


def _label(item: object, kind: str) -> str:
    name = item.get("name") if isinstance(item, dict) else None
    return f"{kind} {name}" if isinstance(name, str) else f"a {kind} without name"


def _suite(item: object, where: str) -> LockedSuite:
    entry = _Entry(item, where, _label(item, "suite"))
    return LockedSuite(entry.text("name"), entry.digest(), entry.integer("date"))


def _package(item: object, where: str) -> LockedPackage:
    entry = _Entry(item, where, _label(item, "package"))
    name, pool = entry.text("name"), entry.text("pool")
    if not _NAME.match(name):
        entry.fail("name is not a package name")
    parts = pool.split("/")
    if parts[0] not in ARCHIVES or ".." in parts or not pool.endswith(".deb"):
        entry.fail(f"pool is not a path below {' or '.join(ARCHIVES)}: {pool!r}")
    try:
        Version(version := entry.text("version"))
    except ValueError as error:
        entry.fail(str(error))
    sets = entry.array("sets")
    if not sets or not all(isinstance(item, str) for item in sets):
        entry.fail("sets is not a list of names")
    return LockedPackage(
        name=name,
        version=version,
        arch=entry.text("arch"),
        suite=entry.text("suite"),
        pool=pool,
        sha256=entry.digest(),
        size=entry.integer("size"),
        sets=tuple(str(item) for item in sets),
    )
