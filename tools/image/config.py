"""Our decisions about the tree that no package and no overlay file can express.

`tree.toml` has these tables; every row gives its reason, every path is absolute.

    [[alternative]]   path is a symbolic link to target, as update-alternatives would make
    [[directory]]     path is an empty directory, which version control cannot hold
    [[copy]]          path is a copy of the file `from`, as a postinst would make
    [[mode]]          mode and owner ("user:group") of path, whatever its package says
    [[dangling]]      links that match the pattern may point to what only a running system has
    [[remove]]        directories and files that packages bring and nothing here uses
    [ids]             number of each user and group that sysusers.d leaves open
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass

from tools.image.errors import DataError

_COLUMNS = {
    "alternative": {"path", "target", "reason"},
    "copy": {"path", "from", "reason"},
    "directory": {"path", "reason"},
    "mode": {"path", "mode", "owner", "reason"},
    "conflict": {"path", "package", "reason"},
    "dangling": {"pattern", "reason"},
    "remove": {"pattern", "reason"},
}

_TREE_TABLES = tuple(table for table in _COLUMNS if table != "conflict")


@dataclass(frozen=True, slots=True)
class Ownership:
    """Permission bits and owner, by name, that a path has in the tree."""

    mode: int
    user: str
    group: str


@dataclass(frozen=True, slots=True)
class TreeConfig:
    """`tree.toml`; paths are relative to the root, as in `nodes`."""

    alternatives: Mapping[str, str]
    copies: Mapping[str, str]
    directories: tuple[str, ...]
    modes: Mapping[str, Ownership]
    dangling: tuple[str, ...]
    remove: tuple[str, ...]
    ids: Mapping[str, int]


def parse(text: str, name: str) -> TreeConfig:
    """Read `tree.toml`; `name` is for messages.

    Raises:
        DataError: it is not TOML, or a table or row is not as documented.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: {error}") from error
    if unknown := sorted(set(document) - set(_TREE_TABLES) - {"ids"}):
        known = ", ".join(sorted((*_TREE_TABLES, "ids")))
        raise DataError(f"{name}: unknown table {unknown[0]}", f"known tables: {known}")
    rows = {table: _rows(document.get(table, []), table, name) for table in _TREE_TABLES}
    return TreeConfig(
        alternatives={_path(row, name): row["target"] for row in rows["alternative"]},
        copies={_path(row, name): row["from"].lstrip("/") for row in rows["copy"]},
        directories=tuple(_path(row, name) for row in rows["directory"]),
        modes={_path(row, name): _ownership(row, name) for row in rows["mode"]},
        dangling=tuple(row["pattern"].lstrip("/") for row in rows["dangling"]),
        remove=tuple(row["pattern"].lstrip("/") for row in rows["remove"]),
        ids=_ids(document.get("ids", {}), name),
    )


@dataclass(frozen=True, slots=True)
class PackageRules:
    """What packages.toml says about packages' files.

    `drop` are patterns of paths that are left out; `conflicts` names, for paths that
    several packages bring, the one that wins.
    """

    drop: tuple[str, ...]
    conflicts: Mapping[str, str]


def parse_package_rules(text: str, name: str) -> PackageRules:
    """Read `[[drop]]` (paths, reason) and `[[conflict]]` (path, package, reason).

    Raises:
        DataError: it is not TOML, or a row is not as documented.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"{name}: {error}") from error
    for table in document.get("drop", []):
        if not table.get("paths") or not table.get("reason"):
            raise DataError(f"{name}: every [[drop]] has paths and a reason")
    conflicts = _rows(document.get("conflict", []), "conflict", name)
    return PackageRules(
        tuple(pattern for table in document.get("drop", []) for pattern in table["paths"]),
        {_path(row, name): row["package"] for row in conflicts},
    )


def _rows(value: object, table: str, name: str) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise DataError(f"{name}: {table} must be written as [[{table}]]")
    for row in value:
        if not isinstance(row, dict) or set(row) != _COLUMNS[table]:
            columns = ", ".join(sorted(_COLUMNS[table]))
            raise DataError(f"{name}: every [[{table}]] has exactly: {columns}")
        if not all(isinstance(text, str) and text for text in row.values()):
            raise DataError(f"{name}: [[{table}]] values are texts and not empty")
    return value


def _path(row: Mapping[str, str], name: str) -> str:
    path = row["path"]
    if not path.startswith("/"):
        raise DataError(f"{name}: path {path} must be absolute")
    return path.strip("/")


def _ownership(row: Mapping[str, str], name: str) -> Ownership:
    user, colon, group = row["owner"].partition(":")
    try:
        mode = int(row["mode"], 8)
    except ValueError:
        mode = -1
    if not (colon and user and group and 0 <= mode <= 0o7777):
        raise DataError(f"{name}: [[mode]] {row['path']}: want an octal mode and user:group")
    return Ownership(mode, user, group)


def _ids(value: object, name: str) -> dict[str, int]:
    if not isinstance(value, dict) or not all(isinstance(n, int) for n in value.values()):
        raise DataError(f"{name}: [ids] maps names to numbers")
    if twice := sorted(n for n, number in value.items() if number < 1 or number > 65533):
        raise DataError(f"{name}: [ids] {twice[0]}: not a usable number")
    return dict(value)
