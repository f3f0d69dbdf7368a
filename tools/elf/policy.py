"""What a tree may contain beyond ordinary files: the allowed list, each with its reason.

The policy file is TOML:

    [[setid]]
    path = "/usr/bin/sudo"
    mode = "4755"
    reason = "core administers the machine"

    [[drop]]          # the bit is taken away when the tree is built
    path = "/usr/bin/chsh"
    reason = "shells are set by the image"

    [[capability]]
    path = "/usr/bin/ping"
    grants = "cap_net_raw=ep"
    reason = "diagnosis without root"

    [[textrel]]
    path = "/usr/lib/x.so"
    reason = "..."
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field

from tools.elf.errors import PolicyError

_TABLES = {
    "setid": {"path", "mode", "reason"},
    "drop": {"path", "reason"},
    "capability": {"path", "grants", "reason"},
    "textrel": {"path", "reason"},
}
_MODE = re.compile(r"[2467][0-7]{3}")


@dataclass(frozen=True, slots=True)
class Policy:
    """Allowed exceptions by absolute path.

    `setid` holds the exact permission bits allowed, `capability` the text form of the
    capabilities; `drop` lists files whose set-id bits the tree builder clears.
    """

    setid: Mapping[str, int] = field(default_factory=dict)
    drop: frozenset[str] = frozenset()
    capability: Mapping[str, str] = field(default_factory=dict)
    textrel: frozenset[str] = frozenset()


def parse_policy(text: str, name: str) -> Policy:
    """Read a policy file; `name` is for messages.

    Raises:
        PolicyError: not TOML, an unknown or missing key, a path given twice.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise PolicyError(f"{name}: {error}") from error
    unknown = sorted(set(document) - set(_TABLES))
    if unknown:
        raise PolicyError(f"{name}: unknown table {unknown[0]}", f"known: {', '.join(_TABLES)}")
    rows = {table: _rows(document.get(table, []), table, name) for table in _TABLES}
    return Policy(
        setid={row["path"]: _mode(row, name) for row in rows["setid"]},
        drop=frozenset(row["path"] for row in rows["drop"]),
        capability={row["path"]: row["grants"] for row in rows["capability"]},
        textrel=frozenset(row["path"] for row in rows["textrel"]),
    )


def _rows(value: object, table: str, name: str) -> list[dict[str, str]]:
    if not isinstance(value, list):
        raise PolicyError(f"{name}: {table} must be written as [[{table}]]")
    seen: set[str] = set()
    for row in value:
        if not isinstance(row, dict) or set(row) != _TABLES[table]:
            keys = ", ".join(sorted(_TABLES[table]))
            raise PolicyError(f"{name}: every [[{table}]] has exactly: {keys}")
        for key, text in row.items():
            if not isinstance(text, str) or not text:
                raise PolicyError(f"{name}: [[{table}]] {key} must be a non-empty string")
        if not row["path"].startswith("/"):
            raise PolicyError(f"{name}: [[{table}]] path {row['path']} must be absolute")
        if row["path"] in seen:
            raise PolicyError(f"{name}: [[{table}]] {row['path']} is given twice")
        seen.add(row["path"])
    return value


def _mode(row: Mapping[str, str], name: str) -> int:
    if not _MODE.fullmatch(row["mode"]):
        raise PolicyError(f"{name}: [[setid]] {row['path']}: mode {row['mode']} sets no id bit")
    return int(row["mode"], 8)
