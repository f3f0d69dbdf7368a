from __future__ import annotations

import hashlib
import struct

import pytest

from tools.image.authenticode import pe_digest, sign_pe
from tools.image.errors import ImageError

# A certificate as far as a signer reads it: version, serial 5, algorithm, issuer CN=x.
ISSUER = bytes.fromhex("300c310a3008060355040313 0178".replace(" ", ""))
_INNER = bytes.fromhex("a003020102" + "020105" + "300506032b6570") + ISSUER
_TBS = bytes([0x30, len(_INNER)]) + _INNER
CERTIFICATE = bytes([0x30, len(_TBS)]) + _TBS


def pe(body: bytes = b"code" * 100) -> bytes:
    image = bytearray(0x200)
    image[:2] = b"MZ"
    struct.pack_into("<I", image, 0x3C, 0x80)
    image[0x80:0x84] = b"PE\0\0"
    struct.pack_into("<H", image, 0x98, 0x20B)
    return bytes(image) + body


def signer(data: bytes) -> bytes:
    return hashlib.sha512(data).digest() * 4


def test_signing_changes_nothing_that_is_signed() -> None:
    for size in range(9):
        plain = pe(b"x" * size)
        signed = sign_pe(plain, CERTIFICATE, signer)
        assert pe_digest(signed) == pe_digest(plain)
        assert len(signed) % 8 == 0
        assert signed[0x200 : 0x200 + size] == b"x" * size


def test_the_signature_is_where_the_directory_says() -> None:
    signed = sign_pe(pe(), CERTIFICATE, signer)
    at, size = struct.unpack_from("<II", signed, 0x98 + 112 + 32)
    length, revision, kind = struct.unpack_from("<IHH", signed, at)
    assert (at + size, length, revision, kind) == (len(signed), size, 0x0200, 0x0002)
    blob = signed[at + 8 :]
    assert blob[0] == 0x30
    for part in (CERTIFICATE, ISSUER + b"\x02\x01\x05", pe_digest(signed)):
        assert part in blob


def test_the_same_bits_again_even_over_a_signature() -> None:
    once = sign_pe(pe(), CERTIFICATE, signer)
    assert sign_pe(pe(), CERTIFICATE, signer) == once
    assert sign_pe(once, CERTIFICATE, signer) == once


def test_the_checksum() -> None:
    signed = sign_pe(pe(), CERTIFICATE, signer)
    (stored,) = struct.unpack_from("<I", signed, 0x98 + 64)
    blank = signed[: 0x98 + 64] + bytes(4) + signed[0x98 + 68 :]
    total = 0
    for (word,) in struct.iter_unpack("<H", blank):
        total += word
        total = (total & 0xFFFF) + (total >> 16)
    assert stored == total + len(signed)


def test_any_change_changes_the_digest() -> None:
    plain = pe()
    for at in (0, 0x40, 0x98, 0x150, len(plain) - 1):
        changed = bytearray(plain)
        changed[at] ^= 1
        try:
            assert pe_digest(bytes(changed)) != pe_digest(plain)
        except ImageError:
            assert at in (0, 0x98)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"MZ" + bytes(100), id="no header"),
        pytest.param(b"\x7fELF" + bytes(1000), id="something else"),
    ],
)
def test_not_a_pe_file(image: bytes) -> None:
    with pytest.raises(ImageError, match="not a PE file"):
        pe_digest(image)


def test_a_certificate_cut_short() -> None:
    with pytest.raises(ImageError, match="certificate"):
        sign_pe(pe(), CERTIFICATE[:9], signer)
