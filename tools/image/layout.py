"""The partitions of a disk, read from `layout.toml`; every size there has its reason.

seed = "…"                what identifiers are derived from
slot_budget_mb = 130      the most a root slot may have, in units of 10^6 bytes
[[partition]]
label = "ESP"             name in the GPT
type = "…"                type UUID
size_mib = 512
content = "esp"           esp | root | spare | ext4
reason = "…"
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tools.image.errors import DataError

MIB = 1 << 20
CONTENTS = ("esp", "root", "spare", "ext4")
_KEYS = {"label", "type", "size_mib", "content", "reason"}


@dataclass(frozen=True, slots=True)
class Planned:
    """A partition to be. `content` says what fills it: see CONTENTS; spare is empty."""

    label: str
    type: UUID
    bytes: int
    content: str


@dataclass(frozen=True, slots=True)
class Layout:
    """A disk to be; `slot_budget` is in bytes."""

    seed: str
    slot_budget: int
    partitions: tuple[Planned, ...]


def load(path: Path) -> Layout:
    """Read and check a layout file. Raises DataError."""
    return parse(path.read_text("utf-8"), path.name)


def parse(text: str, name: str) -> Layout:
    """As `load`, from text; `name` is for messages.

    Raises:
        DataError: it is not TOML, a key is missing or unknown, or a label is there twice.
    """
    try:
        document = tomllib.loads(text)
        layout = Layout(
            seed=str(document["seed"]),
            slot_budget=int(document["slot_budget_mb"]) * 10**6,
            partitions=tuple(_planned(row, name) for row in document["partition"]),
        )
    except (tomllib.TOMLDecodeError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{name}: {error!r}") from error
    labels = [part.label for part in layout.partitions]
    if len(set(labels)) != len(labels):
        raise DataError(f"{name}: a label is there twice")
    for content in ("esp", "root"):
        if sum(part.content == content for part in layout.partitions) != 1:
            raise DataError(f"{name}: want exactly one partition with content {content}")
    return layout


def _planned(row: dict[str, object], name: str) -> Planned:
    label = str(row.get("label", "?"))
    if set(row) != _KEYS:
        raise DataError(f"{name}: partition {label}: want {', '.join(sorted(_KEYS))}")
    if row["content"] not in CONTENTS:
        raise DataError(f"{name}: partition {label}: content is one of {', '.join(CONTENTS)}")
    size = row["size_mib"]
    if not isinstance(size, int) or size < 1 or not 1 <= len(label) <= 36:
        raise DataError(f"{name}: partition {label}: bad size or label")
    return Planned(label, UUID(str(row["type"])), size * MIB, str(row["content"]))
