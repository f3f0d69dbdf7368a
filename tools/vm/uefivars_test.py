from __future__ import annotations

import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.vm.errors import VmError
from tools.vm.uefivars import Variable, enrolled, variables

STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792")
CERTIFICATE = b"\x30\x82 not really DER"


def flash(size: int = 4096, records: bytes = b"") -> bytes:
    """An empty variable file as firmware vendors ship it."""
    volume = struct.pack("<16x16xQ4sIHHHBB", size, b"_FVH", 0, 72, 0, 0, 0, 2) + bytes(16)
    head = struct.pack("<16sIBBHI", STORE.bytes_le, size - 72, 0x5A, 0xFE, 0, 0)
    return (volume + head + records).ljust(size, b"\xff")


def test_an_empty_store_has_no_variables() -> None:
    assert variables(flash()) == ()


def test_keys_are_enrolled() -> None:
    found = {variable.name: variable for variable in variables(enrolled(flash(), CERTIFICATE))}
    assert list(found) == ["db", "KEK", "PK", "SecureBootEnable"]
    assert found["SecureBootEnable"].data == b"\x01"
    for name in ("db", "KEK", "PK"):
        assert found[name].data.endswith(CERTIFICATE)
        assert struct.unpack_from("<I", found[name].data, 16) == (len(found[name].data),)
        assert found[name].attributes == 0x27


def test_what_was_there_stays() -> None:
    old = Variable(uuid.uuid4(), "Lang", 7, b"eng")
    names = [v.name for v in variables(enrolled(flash(records=old.encode()), CERTIFICATE))]
    assert names == ["Lang", "db", "KEK", "PK", "SecureBootEnable"]


def test_deleted_variables_keep_their_place_only() -> None:
    record = bytearray(Variable(uuid.uuid4(), "Old", 7, b"x").encode())
    record[2] = 0x3C
    assert variables(flash(records=bytes(record))) == ()
    assert len(variables(enrolled(flash(records=bytes(record)), CERTIFICATE))) == 4


def test_the_size_does_not_change() -> None:
    assert len(enrolled(flash(), CERTIFICATE)) == len(flash())


@pytest.mark.parametrize(
    ("image", "message"),
    [
        pytest.param(b"", "too short", id="empty"),
        pytest.param(bytes(4096), "no authenticated variables", id="zeros"),
        pytest.param(flash()[:2000], "no authenticated variables", id="cut"),
        pytest.param(flash(records=b"\xaa\x55" + b"\xfe" * 100), "damaged", id="damaged"),
        pytest.param(flash(size=300), "no room", id="full"),
    ],
)
def test_other_files_are_refused(image: bytes, message: str) -> None:
    with pytest.raises(VmError, match=message):
        enrolled(image, CERTIFICATE)


@given(st.lists(st.tuples(st.text("abcXYZ", min_size=1), st.binary(max_size=40)), max_size=6))
def test_records_round_trip(entries: list[tuple[str, bytes]]) -> None:
    wanted = tuple(Variable(STORE, name, 7, data) for name, data in entries)
    records = b"".join(variable.encode() for variable in wanted)
    assert variables(flash(size=8192, records=records)) == wanted
