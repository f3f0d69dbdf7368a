"""HPACK (RFC 7541), both ways, with bounds on what a block may cost.

`Decoder.decode` turns a header block into fields and says in `touched` whether the block
changed the dynamic table: a block that did not, and that came before, decodes to the same
fields again, which is what the connection's cache of blocks lives on. `Encoder.encode`
inserts only the few fields that every answer repeats; `version` counts its table's changes,
so that encoded blocks can be kept and reused while it stands still.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.etcd.transport import huffman
from services.etcd.transport.errors import HeaderListTooLarge, HpackError
from services.etcd.transport.hpack_table import (
    DEFAULT_SIZE,
    ENTRY_OVERHEAD,
    STATIC,
    STATIC_FIELD,
    STATIC_NAME,
    STATIC_SIZE,
    DynamicTable,
    Field,
)

BOMB_FACTOR = 4
"""A list this many times over its limit ends the connection instead of the stream."""

_INTEGER_SHIFT = 28
"""Integers have at most five bytes after the prefix: more is an attack."""


def decode_integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    """The integer with a prefix of `bits` bits at offset `at`, and the offset after it.

    Raises HpackError: the block ends inside, or the value has more than 32 bits.
    """
    try:
        mask = (1 << bits) - 1
        value = block[at] & mask
        at += 1
        if value < mask:
            return value, at
        shift = 0
        while True:
            byte = block[at]
            at += 1
            value += (byte & 127) << shift
            if byte < 128:
                break
            shift += 7
            if shift > _INTEGER_SHIFT:
                raise HpackError("integer too long")
    except IndexError:
        raise HpackError("header block ends inside an integer") from None
    if value >> 32:
        raise HpackError("integer too large")
    return value, at


def encode_integer(value: int, bits: int, first: int = 0) -> bytes:
    """`value` with a prefix of `bits` bits; `first` holds the bits above the prefix."""
    mask = (1 << bits) - 1
    if value < mask:
        return bytes((first | value,))
    out = bytearray((first | mask,))
    value -= mask
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


class Decoder:
    """The receiving side of one connection; every header block must pass through it."""

    __slots__ = ("_ceiling", "_list_limit", "_table", "touched")

    def __init__(self, list_limit: int = 64 << 10, table_size: int = DEFAULT_SIZE) -> None:
        self._table = DynamicTable(table_size)
        self._ceiling = table_size
        self._list_limit = list_limit
        self.touched = False
        """Whether the last block changed the dynamic table."""

    def decode(self, block: bytes) -> tuple[Field, ...]:
        """The fields of a whole header block, in order.

        Raises HpackError: the connection is lost. HeaderListTooLarge: the block was sound
        and the table is in step, but the list is above the limit.
        """
        table, entries = self._table, self._table.entries
        fields: list[Field] = []
        total, limit, at, end = 0, self._list_limit, 0, len(block)
        self.touched = False
        while at < end:
            first = block[at]
            if first & 128:
                index = first & 127
                at += 1
                if index == 127:
                    index, at = decode_integer(block, at - 1, 7)
                if 0 < index <= STATIC_SIZE:
                    field = STATIC[index - 1]
                elif 0 < index <= STATIC_SIZE + len(entries):
                    field = entries[STATIC_SIZE - index]
                else:
                    raise HpackError(f"index {index} is not in the table")
            elif first & 64:
                field, at = self._literal(block, at, 6)
                table.add(field)
                self.touched = True
            elif first & 32:
                at = self._resize(block, at, bool(fields))
                continue
            else:
                field, at = self._literal(block, at, 4)
            total += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
            if total <= limit:
                fields.append(field)
            elif total > limit * BOMB_FACTOR:
                raise HpackError("header list far above the limit")
        if total > limit:
            raise HeaderListTooLarge(f"header list of {total} bytes is above {limit}")
        return tuple(fields)

    def _literal(self, block: bytes, at: int, bits: int) -> tuple[Field, int]:
        index, at = decode_integer(block, at, bits)
        if index:
            name = self._name(index)
        else:
            name, at = self._string(block, at)
        value, at = self._string(block, at)
        return (name, value), at

    def _name(self, index: int) -> bytes:
        if index <= STATIC_SIZE:
            return STATIC[index - 1][0]
        entries = self._table.entries
        if index > STATIC_SIZE + len(entries):
            raise HpackError(f"index {index} is not in the table")
        return entries[STATIC_SIZE - index][0]

    def _string(self, block: bytes, at: int) -> tuple[bytes, int]:
        if at >= len(block):
            raise HpackError("header block ends before a string")
        coded = block[at] & 128
        length, at = decode_integer(block, at, 7)
        end = at + length
        if end > len(block):
            raise HpackError("header block ends inside a string")
        text = block[at:end]
        return (huffman.decode(text) if coded else text), end

    def _resize(self, block: bytes, at: int, late: bool) -> int:
        if late:
            raise HpackError("table size update after a field")
        size, at = decode_integer(block, at, 5)
        if size > self._ceiling:
            raise HpackError(f"table size {size} is above {self._ceiling}")
        self._table.resize(size)
        self.touched = True
        return at


class Encoder:
    """The sending side of one connection.

    Fields in `indexable` enter the dynamic table at their first use; all others are sent as
    literals and leave it alone.
    """

    __slots__ = ("_indexable", "_pending", "_table", "version")

    def __init__(self, indexable: frozenset[Field] = frozenset()) -> None:
        self._table = DynamicTable(DEFAULT_SIZE)
        self._indexable = indexable
        self._pending: list[int] = []
        self.version = 0
        """Grows with every change of the table, also with one still to be announced."""

    def resize(self, allowed: int) -> None:
        """The peer's SETTINGS_HEADER_TABLE_SIZE: never use more, and say so (4.2)."""
        size = min(allowed, DEFAULT_SIZE)
        if size == (self._pending[-1] if self._pending else self._table.limit):
            return
        self._pending = [min([size, *self._pending]), size]
        self.version += 1

    def settled(self, fields: Iterable[Field]) -> bool:
        """Whether encoding these leaves the table as it is, now and next time."""
        table = self._table
        return not self._pending and all(
            field in STATIC_FIELD or table.find(field) or not self._enters(field)
            for field in fields
        )

    def encode(self, fields: Iterable[Field]) -> bytes:
        """One whole header block."""
        out = bytearray()
        if self._pending:
            for size in dict.fromkeys(self._pending):
                out += encode_integer(size, 5, 32)
                self._table.resize(size)
            self._pending = []
            self.version += 1
        for field in fields:
            out += self._field(field)
        return bytes(out)

    def _field(self, field: Field) -> bytes:
        index = STATIC_FIELD.get(field) or self._table.find(field)
        if index:
            return encode_integer(index, 7, 128)
        name, value = field
        if self._enters(field):
            self._table.add(field)
            self.version += 1
            bits, first = 6, 64
        else:
            bits, first = 4, 0
        index = STATIC_NAME.get(name, 0)
        head = encode_integer(index, bits, first)
        return head + self._string(value) if index else head + self._string(name, value)

    def _enters(self, field: Field) -> bool:
        size = len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        return field in self._indexable and size <= self._table.limit

    @staticmethod
    def _string(*texts: bytes) -> bytes:
        out = b""
        for text in texts:
            if huffman.encoded_length(text) < len(text):
                coded = huffman.encode(text)
                out += encode_integer(len(coded), 7, 128) + coded
            else:
                out += encode_integer(len(text), 7) + text
        return out
