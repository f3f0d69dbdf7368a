from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.image.errors import ImageError
from tools.image.gpt import FIRST_USABLE, SECTOR, Partition, Table, decode, encode

KIND = UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")


@st.composite
def tables(draw: st.DrawFn) -> Table:
    at, parts = FIRST_USABLE, []
    for _ in range(draw(st.integers(0, 9))):
        first = at + draw(st.integers(0, 5000))
        last = first + draw(st.integers(0, 1 << 32))
        label = draw(st.text("aZ-_ ü€", max_size=18))
        attributes = draw(st.integers(0, 2**64 - 1))
        parts.append(Partition(KIND, draw(st.uuids()), first, last, label, attributes))
        at = last + 1
    return Table(draw(st.uuids()), at + 33 + draw(st.integers(0, 4096)), tuple(parts))


@given(tables())
def test_what_is_encoded_is_decoded(table: Table) -> None:
    start, end = encode(table)
    assert (len(start), len(end)) == (34 * SECTOR, 33 * SECTOR)
    assert decode(start, table.sectors) == table
    assert end[: 32 * SECTOR] == start[2 * SECTOR :]


@given(tables(), st.integers(SECTOR, SECTOR + 91), st.integers(1, 255))
def test_a_changed_header_is_noticed(table: Table, at: int, flip: int) -> None:
    start = bytearray(encode(table)[0])
    start[at] ^= flip
    with pytest.raises(ImageError):
        decode(bytes(start), table.sectors)


def test_a_changed_entry_is_noticed() -> None:
    start = bytearray(encode(table_of((40, 50)))[0])
    start[2 * SECTOR + 40] ^= 1
    with pytest.raises(ImageError, match="checksum"):
        decode(bytes(start), 4096)


def table_of(*ranges: tuple[int, int], sectors: int = 4096) -> Table:
    parts = tuple(Partition(KIND, UUID(int=i), a, b, f"p{i}") for i, (a, b) in enumerate(ranges))
    return Table(UUID(int=99), sectors, parts)


@pytest.mark.parametrize(
    "ranges",
    [
        pytest.param([(40, 50), (50, 60)], id="one sector in two partitions"),
        pytest.param([(33, 50)], id="inside the table"),
        pytest.param([(50, 40)], id="ends before it begins"),
        pytest.param([(40, 4063)], id="inside the backup"),
    ],
)
def test_impossible_tables(ranges: list[tuple[int, int]]) -> None:
    with pytest.raises(ImageError):
        table_of(*ranges)


def test_the_last_usable_sector_is_usable() -> None:
    assert table_of((34, 4062)).partitions[0].last == 4062


def test_the_protective_record_covers_the_disk() -> None:
    start, _ = encode(table_of((40, 50)))
    assert start[450] == 0xEE
    assert int.from_bytes(start[458:462], "little") == 4095
    assert start[510:512] == b"\x55\xaa"


def test_no_table() -> None:
    with pytest.raises(ImageError, match="no GUID partition table"):
        decode(bytes(34 * SECTOR), 4096)
