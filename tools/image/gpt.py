"""GUID partition tables (UEFI 2.10, chapter 5): encoded and decoded, sectors of 512 bytes.

`encode` gives the blocks at the start and at the end of a disk; nothing in them is random
or a time. `decode` checks signatures and checksums.
"""

from __future__ import annotations

import binascii
import struct
from dataclasses import dataclass
from uuid import UUID

from tools.image.errors import ImageError

SECTOR = 512
ENTRIES = 128
_ENTRY = struct.Struct("<16s16sQQQ72s")
_HEADER = struct.Struct("<8sIIIIQQQQ16sQIII")
_SIGNATURE = b"EFI PART"
_REVISION = 0x00010000
_TABLE_SECTORS = ENTRIES * _ENTRY.size // SECTOR
FIRST_USABLE = 2 + _TABLE_SECTORS


@dataclass(frozen=True, slots=True)
class Partition:
    """One entry; `first` and `last` are sectors, both included."""

    type: UUID
    uuid: UUID
    first: int
    last: int
    label: str
    attributes: int = 0

    @property
    def offset(self) -> int:
        """First byte on the disk."""
        return self.first * SECTOR

    @property
    def bytes(self) -> int:
        """Size in bytes."""
        return (self.last - self.first + 1) * SECTOR


@dataclass(frozen=True, slots=True)
class Table:
    """A whole table; `sectors` is the size of the disk."""

    disk: UUID
    sectors: int
    partitions: tuple[Partition, ...]

    def __post_init__(self) -> None:
        """Raises ImageError when a partition overlaps another or leaves the disk."""
        at = FIRST_USABLE
        if len(self.partitions) > ENTRIES:
            raise ImageError(f"a partition table holds {ENTRIES} partitions")
        for part in sorted(self.partitions, key=lambda part: part.first):
            if part.first < at or part.last < part.first:
                raise ImageError(f"partition {part.label} overlaps what is before it")
            at = part.last + 1
            if len(part.label.encode("utf-16-le")) > 72:
                raise ImageError(f"the label {part.label} is too long")
        if at > self.sectors - _TABLE_SECTORS - 1:
            raise ImageError(f"a disk of {self.sectors} sectors is too small for its partitions")


def encode(table: Table) -> tuple[bytes, bytes]:
    """The first 34 and the last 33 sectors."""
    entries = b"".join(_entry(part) for part in table.partitions).ljust(
        ENTRIES * _ENTRY.size, b"\0"
    )
    last = table.sectors - 1
    primary = _header(table, entries, 1, last, 2)
    backup = _header(table, entries, last, 1, last - _TABLE_SECTORS)
    return _protective_mbr(table.sectors) + primary + entries, entries + backup


def _entry(part: Partition) -> bytes:
    label = part.label.encode("utf-16-le")
    return _ENTRY.pack(
        part.type.bytes_le, part.uuid.bytes_le, part.first, part.last, part.attributes, label
    )


def _header(table: Table, entries: bytes, here: int, other: int, entries_at: int) -> bytes:
    def packed(checksum: int) -> bytes:
        return _HEADER.pack(
            _SIGNATURE,
            _REVISION,
            _HEADER.size,
            checksum,
            0,
            here,
            other,
            FIRST_USABLE,
            table.sectors - _TABLE_SECTORS - 2,
            table.disk.bytes_le,
            entries_at,
            ENTRIES,
            _ENTRY.size,
            binascii.crc32(entries),
        )

    return packed(binascii.crc32(packed(0))).ljust(SECTOR, b"\0")


def _protective_mbr(sectors: int) -> bytes:
    # One partition of type 0xEE over the whole disk keeps old tools away.
    record = struct.pack(
        "<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, min(sectors - 1, 0xFFFFFFFF)
    )
    return (bytes(446) + record).ljust(510, b"\0") + b"\x55\xaa"


def decode(start: bytes, sectors: int) -> Table:
    """The table in the first 34 sectors of a disk.

    Raises:
        ImageError: there is no GPT, or a checksum is wrong.
    """
    head = start[SECTOR : SECTOR + _HEADER.size]
    if len(start) < FIRST_USABLE * SECTOR or not head.startswith(_SIGNATURE):
        raise ImageError("the disk has no GUID partition table")
    fields = _HEADER.unpack(head)
    blank = head[:16] + bytes(4) + head[20:]
    raw = start[2 * SECTOR : FIRST_USABLE * SECTOR]
    if fields[3] != binascii.crc32(blank) or fields[13] != binascii.crc32(raw):
        raise ImageError("the partition table is damaged: a checksum is wrong")
    parts = []
    for kind, uuid, first, last, attributes, label in _ENTRY.iter_unpack(raw):
        if any(kind):
            text = label.decode("utf-16-le").rstrip("\0")
            parts.append(
                Partition(UUID(bytes_le=kind), UUID(bytes_le=uuid), first, last, text, attributes)
            )
    return Table(UUID(bytes_le=fields[9]), sectors, tuple(parts))
