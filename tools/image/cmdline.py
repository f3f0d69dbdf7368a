"""The kernel command line: arguments with their reasons in `cmdline.toml`, filled in."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping

from tools.image.errors import DataError
from tools.image.verity import BLOCK

MAX_BYTES = 2047
"""What x86 kernels take (COMMAND_LINE_SIZE, less the terminating zero)."""

_SECTORS_PER_BLOCK = BLOCK // 512
_UNFILLED = re.compile(r"[{}]")


def parse(text: str, name: str) -> tuple[str, ...]:
    """The arguments' texts; `name` is for messages.

    Raises:
        DataError: not TOML, or a row that has not exactly a text and a reason.
    """
    try:
        rows = tomllib.loads(text)["argument"]
    except (tomllib.TOMLDecodeError, KeyError) as error:
        raise DataError(f"{name}: {error!r}") from error
    for row in rows:
        if not isinstance(row, dict) or set(row) != {"text", "reason"} or not row["reason"]:
            raise DataError(f"{name}: every [[argument]] has a text and a reason")
    return tuple(row["text"] for row in rows)


def fill(arguments: tuple[str, ...], slot: Mapping[str, object], version: str) -> str:
    """One line for a slot (the content of slot.json).

    Raises:
        DataError: an argument uses a name that does not exist, or the line is too long.
    """
    blocks = slot["data_blocks"]
    assert isinstance(blocks, int)
    values = {
        "partition": f"PARTUUID={slot['partition_uuid']}",
        "sectors": str(blocks * _SECTORS_PER_BLOCK),
        "block": str(BLOCK),
        "blocks": str(blocks),
        "hash_start": str(slot["hash_start"]),
        "root_hash": str(slot["root_hash"]),
        "salt": str(slot["salt"]),
        "version": version,
    }
    try:
        line = " ".join(argument.format_map(values) for argument in arguments)
    except (KeyError, ValueError, IndexError) as error:
        raise DataError(f"kernel arguments: cannot fill in {error}") from error
    if len(line.encode()) > MAX_BYTES or _UNFILLED.search(line) or "\n" in line:
        raise DataError(f"kernel arguments: {len(line)} bytes, at most {MAX_BYTES} on one line")
    return line
