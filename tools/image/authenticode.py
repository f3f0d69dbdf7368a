"""Signs PE files for Secure Boot (Authenticode), the same bits every time.

The signature holds no signing time and RSA with PKCS#1 v1.5 padding has no random part,
so that a signed file is a function of the file, the key and the certificate. The private
key is only ever used by `sign`, a function given by the caller: here openssl with a key
file, elsewhere whatever guards the key.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tools.image.errors import ImageError
from tools.proc import run

Signer = Callable[[bytes], bytes]
"""Takes the bytes to be signed, returns RSA PKCS#1 v1.5 with SHA-256 over them."""

_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_RSA = "1.2.840.113549.1.1.1"
_SHA256 = "2.16.840.1.101.3.4.2.1"
_INDIRECT_DATA = "1.3.6.1.4.1.311.2.1.4"
_PE_IMAGE_DATA = "1.3.6.1.4.1.311.2.1.15"
_SEQUENCE, _SET, _OCTETS, _OID, _INTEGER, _NULL, _BITS = 0x30, 0x31, 0x04, 0x06, 0x02, 0x05, 0x03
_CERTIFICATE_ENTRY = 4
_PE32, _PE32_PLUS = 0x10B, 0x20B


@dataclass(frozen=True, slots=True)
class _Places:
    checksum: int
    directory: int
    signature_at: int
    signature_size: int


def sign_pe(image: bytes, certificate: bytes, sign: Signer) -> bytes:
    """`image` with a signature; one it already had is replaced.

    Args:
        image: a PE file for EFI.
        certificate: the signer's, DER.

    Raises:
        ImageError: it is no PE file, or the certificate cannot be read.
    """
    bare = _without_signature(image)
    bare += bytes(-len(bare) % 8)
    signature = _signed_data(pe_digest(bare), certificate, sign)
    signature += bytes(-len(signature) % 8)
    block = struct.pack("<IHH", 8 + len(signature), 0x0200, 0x0002) + signature
    signed = bytearray(bare + block)
    places = _places(bare)
    struct.pack_into("<II", signed, places.directory, len(bare), len(block))
    struct.pack_into("<I", signed, places.checksum, _checksum(signed, places.checksum))
    return bytes(signed)


def pe_digest(image: bytes) -> bytes:
    """SHA-256 over all that a signature covers: not the checksum, not the signature."""
    places = _places(image)
    end = places.signature_at or len(image)
    digest = hashlib.sha256(image[: places.checksum])
    digest.update(image[places.checksum + 4 : places.directory])
    digest.update(image[places.directory + 8 : end])
    digest.update(bytes(-end % 8))
    return digest.digest()


def openssl_signer(key: Path) -> Signer:
    """Signs with a private key in a PEM file."""
    return lambda data: run(["openssl", "dgst", "-sha256", "-sign", key], stdin=data).stdout


def read_certificate(path: Path) -> bytes:
    """The DER form of a PEM certificate."""
    return run(["openssl", "x509", "-in", path, "-outform", "DER"]).stdout


def _places(image: bytes) -> _Places:
    try:
        (pe,) = struct.unpack_from("<I", image, 0x3C)
        (magic,) = struct.unpack_from("<H", image, pe + 24)
        if (
            image[:2] != b"MZ"
            or image[pe : pe + 4] != b"PE\0\0"
            or magic not in (_PE32, _PE32_PLUS)
        ):
            raise ImageError("not a PE file")
        directories = pe + 24 + (112 if magic == _PE32_PLUS else 96)
        directory = directories + 8 * _CERTIFICATE_ENTRY
        at, size = struct.unpack_from("<II", image, directory)
    except struct.error as error:
        raise ImageError("not a PE file: it ends early") from error
    return _Places(pe + 24 + 64, directory, at, size)


def _without_signature(image: bytes) -> bytes:
    places = _places(image)
    if not places.signature_at:
        return image
    if places.signature_at + places.signature_size != len(image):
        raise ImageError("a PE file has data behind its signature")
    bare = bytearray(image[: places.signature_at])
    struct.pack_into("<II", bare, places.directory, 0, 0)
    return bytes(bare)


def _checksum(image: bytearray, at: int) -> int:
    """The PE checksum: the 16-bit one's complement sum, plus the length."""
    padded = bytes(image[:at]) + bytes(4) + bytes(image[at + 4 :]) + bytes(len(image) % 2)
    total: int = sum(struct.unpack(f"<{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total + len(image)


def _signed_data(digest: bytes, certificate: bytes, sign: Signer) -> bytes:
    algorithm = _der(_SEQUENCE, _oid(_SHA256), _der(_NULL))
    image_data = _der(
        _SEQUENCE,
        _oid(_PE_IMAGE_DATA),
        # flags: none; file: an empty name, as every signer writes it
        _der(_SEQUENCE, _der(_BITS, b"\0"), _der(0xA0, _der(0xA2, _der(0x80)))),
    )
    content = image_data + _der(_SEQUENCE, algorithm, _der(_OCTETS, digest))
    attributes = b"".join(
        sorted(
            (
                _attribute(_CONTENT_TYPE, _oid(_INDIRECT_DATA)),
                _attribute(_MESSAGE_DIGEST, _der(_OCTETS, hashlib.sha256(content).digest())),
            )
        )
    )
    issuer, serial = _issuer_and_serial(certificate)
    signer = _der(
        _SEQUENCE,
        _der(_INTEGER, b"\1"),
        _der(_SEQUENCE, issuer, serial),
        algorithm,
        _der(0xA0, attributes),
        _der(_SEQUENCE, _oid(_RSA), _der(_NULL)),
        _der(_OCTETS, sign(_der(_SET, attributes))),
    )
    signed = _der(
        _SEQUENCE,
        _der(_INTEGER, b"\1"),
        _der(_SET, algorithm),
        _der(_SEQUENCE, _oid(_INDIRECT_DATA), _der(0xA0, _der(_SEQUENCE, content))),
        _der(0xA0, certificate),
        _der(_SET, signer),
    )
    return _der(_SEQUENCE, _oid(_SIGNED_DATA), _der(0xA0, signed))


def _attribute(oid: str, value: bytes) -> bytes:
    return _der(_SEQUENCE, _oid(oid), _der(_SET, value))


def _der(tag: int, *parts: bytes) -> bytes:
    body = b"".join(parts)
    if len(body) < 0x80:
        return bytes((tag, len(body))) + body
    length = len(body).to_bytes((len(body).bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + body


def _oid(dotted: str) -> bytes:
    first, second, *rest = (int(part) for part in dotted.split("."))
    out = bytearray([40 * first + second])
    for number in rest:
        digits = [number & 0x7F]
        while number := number >> 7:
            digits.append(0x80 | (number & 0x7F))
        out += bytes(reversed(digits))
    return _der(_OID, bytes(out))


def _issuer_and_serial(certificate: bytes) -> tuple[bytes, bytes]:
    """The two fields of an X.509 certificate, DER, headers included."""
    try:
        at, _ = _body(certificate, 0)
        at, _ = _body(certificate, at)
        if certificate[at] == 0xA0:
            at = sum(_body(certificate, at))
        serial_end = sum(_body(certificate, at))
        serial = certificate[at:serial_end]
        algorithm_end = sum(_body(certificate, serial_end))
        issuer = certificate[algorithm_end : sum(_body(certificate, algorithm_end))]
    except IndexError as error:
        raise ImageError("the certificate cannot be read") from error
    return issuer, serial


def _body(data: bytes, at: int) -> tuple[int, int]:
    """Start and length of the content of the value at `at`."""
    length = data[at + 1]
    if length < 0x80:
        return at + 2, length
    size = length & 0x7F
    return at + 2 + size, int.from_bytes(data[at + 2 : at + 2 + size], "big")
