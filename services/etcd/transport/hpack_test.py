from __future__ import annotations

from collections.abc import Iterable

import hpack as reference
import pytest
from hpack.table import HeaderTable
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.transport import huffman
from services.etcd.transport.errors import HeaderListTooLarge, HpackError
from services.etcd.transport.hpack import Decoder, Encoder, decode_integer, encode_integer
from services.etcd.transport.hpack_table import STATIC, DynamicTable, Field

NAMES = st.sampled_from([b":path", b":method", b"te", b"grpc-timeout", b"x-a", b"user-agent"])
FIELDS = st.lists(st.tuples(NAMES | st.binary(min_size=1, max_size=20), st.binary(max_size=40)))


def plain(headers: Iterable[tuple[bytes, ...]]) -> tuple[Field, ...]:
    return tuple((bytes(field[0]), bytes(field[1])) for field in headers)


def test_static_table_is_the_reference_one() -> None:
    assert HeaderTable.STATIC_TABLE == STATIC


@given(st.binary())
def test_huffman_round_trip_and_reference(text: bytes) -> None:
    coded = huffman.encode(text)
    assert huffman.decode(coded) == text
    assert len(coded) == huffman.encoded_length(text)


@given(st.binary(max_size=12))
def test_huffman_decodes_what_the_reference_decodes(data: bytes) -> None:
    from hpack.huffman_table import decode_huffman

    try:
        expected = decode_huffman(data)
    except reference.HPACKDecodingError:
        with pytest.raises(HpackError):
            huffman.decode(data)
    else:
        if expected or not data:
            assert huffman.decode(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff\xff\xff", id="end mark"),
        pytest.param(b"\xff", id="padding of eight ones"),
        pytest.param(b"\x1f\xff", id="padding too long"),
        pytest.param(b"\x18", id="padding of zeros"),
        pytest.param(b"\x1c", id="padding not all ones"),
    ],
)
def test_huffman_refuses(data: bytes) -> None:
    with pytest.raises(HpackError):
        huffman.decode(data)


@given(st.integers(0, (1 << 32) - 1), st.integers(1, 8))
def test_integers_round_trip(value: int, bits: int) -> None:
    coded = encode_integer(value, bits)
    assert decode_integer(coded, 0, bits) == (value, len(coded))


@given(st.lists(FIELDS, max_size=6), st.booleans())
def test_decodes_the_reference_encoder(blocks: list[list[Field]], coded: bool) -> None:
    encoder, decoder = reference.Encoder(), Decoder()
    for fields in blocks:
        assert decoder.decode(encoder.encode(fields, huffman=coded)) == tuple(fields)


@given(
    st.lists(st.tuples(FIELDS, st.none() | st.integers(0, 8192)), max_size=6),
    st.frozensets(st.tuples(NAMES, st.binary(max_size=3))),
)
def test_the_reference_decodes_our_encoder(
    blocks: list[tuple[list[Field], int | None]], indexable: frozenset[Field]
) -> None:
    encoder, decoder = Encoder(indexable), reference.Decoder()
    ours = Decoder(table_size=8192)
    for fields, size in blocks:
        if size is not None:
            encoder.resize(size)
            decoder.max_allowed_table_size = size
        fields = fields + list(indexable)
        block = encoder.encode(fields)
        assert plain(decoder.decode(block, raw=True)) == tuple(fields)
        assert ours.decode(block) == tuple(fields)


@given(st.lists(FIELDS, max_size=4), st.lists(st.integers(0, 300), max_size=6))
def test_table_size_changes_from_the_peer(blocks: list[list[Field]], sizes: list[int]) -> None:
    encoder, decoder = reference.Encoder(), Decoder(table_size=300)
    encoder.header_table_size = 300
    for index, fields in enumerate(blocks):
        for size in sizes[index : index + 2]:
            encoder.header_table_size = size
        assert decoder.decode(encoder.encode(fields)) == tuple(fields)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(block: bytes) -> None:
    decoder = Decoder(list_limit=200)
    try:
        fields = decoder.decode(block)
    except (HpackError, HeaderListTooLarge):
        return
    assert sum(len(n) + len(v) + 32 for n, v in fields) <= 200


def test_touched_says_whether_a_block_may_be_remembered() -> None:
    encoder, decoder = reference.Encoder(), Decoder()
    first = encoder.encode([(b"x-a", b"1")])
    second = encoder.encode([(b"x-a", b"1")])
    decoder.decode(first)
    assert decoder.touched
    decoder.decode(second)
    assert not decoder.touched


def test_version_stands_still_once_the_repeated_fields_are_in_the_table() -> None:
    fields = [(b":status", b"200"), (b"content-type", b"application/grpc")]
    encoder = Encoder(frozenset(fields))
    first = encoder.encode(fields)
    version = encoder.version
    assert len(encoder.encode(fields)) == 2 < len(first)
    assert encoder.version == version


def test_shrinking_to_nothing_and_back_announces_both_sizes() -> None:
    encoder = Encoder(frozenset({(b"a", b"b")}))
    encoder.encode([(b"a", b"b")])
    encoder.resize(0)
    encoder.resize(4096)
    block = encoder.encode([])
    assert block == encode_integer(0, 5, 32) + encode_integer(4096, 5, 32)


def test_a_field_larger_than_the_table_empties_it() -> None:
    table = DynamicTable(100)
    table.add((b"a", b"b"))
    table.add((b"a", b"b" * 100))
    assert (table.entries, table.size) == ([], 0)


@pytest.mark.parametrize(
    ("block", "message"),
    [
        pytest.param(b"\x80", "index 0", id="index zero"),
        pytest.param(b"\xbe", "index 62", id="index beyond the table"),
        pytest.param(b"\xff\xff\xff\xff\xff\xff\x7f", "too long", id="integer of seven bytes"),
        pytest.param(b"\xff\xff\xff\xff\xff\x7f", "too large", id="integer above 32 bits"),
        pytest.param(b"\xff\x80", "inside an integer", id="cut integer"),
        pytest.param(b"\x00\x05ab", "inside a string", id="cut name"),
        pytest.param(b"\x00\x01a", "before a string", id="no value"),
        pytest.param(b"\x82\x20", "after a field", id="size update after a field"),
        pytest.param(b"\x3f\xe2\x1f", "above 4096", id="size update above the setting"),
    ],
)
def test_refused_blocks(block: bytes, message: str) -> None:
    with pytest.raises(HpackError, match=message):
        Decoder().decode(block)


def test_a_list_above_the_limit_keeps_the_table_in_step() -> None:
    encoder, decoder = reference.Encoder(), Decoder(list_limit=100)
    with pytest.raises(HeaderListTooLarge):
        decoder.decode(encoder.encode([(b"a", b"x" * 40), (b"b", b"y" * 40)]))
    assert decoder.decode(encoder.encode([(b"b", b"y" * 40)])) == ((b"b", b"y" * 40),)


def test_header_bomb_stops_early() -> None:
    """One large entry, referred to again and again (CVE-2016-1544, CVE-2016-6581)."""
    decoder = Decoder(list_limit=8192)
    bomb = b"\x40\x01a" + encode_integer(4000, 7) + b"x" * 4000 + b"\xbe" * 10_000
    with pytest.raises(HpackError, match="far above"):
        decoder.decode(bomb)
