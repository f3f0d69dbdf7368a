"""Enrol Secure Boot keys in a firmware's variable file, before the first start.

OVMF keeps its variables in a flash image: a firmware volume that holds a store of
authenticated variables (UEFI PI specification, vol. 3, "Firmware Volumes"; the store's
layout is that of edk2's VariableFormat.h). Appending `PK`, `KEK` and `db` to an empty
store gives a machine that is in user mode from power-on and boots only what is signed.
"""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

from tools.vm.errors import VmError

_GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c")
_DATABASE = uuid.UUID("d719b2cb-3d3a-4596-a3bc-dad00e67656f")
_ENABLE = uuid.UUID("f0a30bc7-af08-4556-99c4-001009c93a44")
_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072")
_STORE = uuid.UUID("aaf32c78-947b-439a-a180-2e144ec37792")
_OWNER = uuid.UUID("6b1d4e0c-2f0a-5d0e-9c3b-7a5f1c2e8d4b")

_VOLUME = struct.Struct("<16x16xQ4sIHHHBB")
_STORE_HEADER = struct.Struct("<16sIBBHI")
_VARIABLE = struct.Struct("<HBBIQ16sIII16s")

_START, _ADDED = 0x55AA, 0x3F
_FORMATTED, _HEALTHY = 0x5A, 0xFE
_KEPT = 0x01 | 0x02  # non-volatile, boot services
_TIMED = _KEPT | 0x04 | 0x20  # … and run-time, time-based authenticated writes


@dataclass(frozen=True, slots=True)
class Variable:
    """One UEFI variable; `name` without its final zero."""

    vendor: uuid.UUID
    name: str
    attributes: int
    data: bytes

    def encode(self) -> bytes:
        """The record as it stands in the store, padded to the next one."""
        name = self.name.encode("utf-16-le") + b"\0\0"
        head = _VARIABLE.pack(
            *(_START, _ADDED, 0, self.attributes, 0, _stamp(self.attributes), 0),
            *(len(name), len(self.data), self.vendor.bytes_le),
        )
        record = head + name + self.data
        return record + b"\xff" * (-len(record) % 4)


def enrolled(flash: bytes, certificate: bytes) -> bytes:
    """The flash image with `certificate` (X.509, DER) as PK, KEK and the only signer.

    Raises:
        VmError: it is no store of authenticated variables, or has no room left.
    """
    signers = _signature_list(certificate)
    new = b"".join(
        variable.encode()
        for variable in (
            Variable(_DATABASE, "db", _TIMED, signers),
            Variable(_GLOBAL, "KEK", _TIMED, signers),
            Variable(_GLOBAL, "PK", _TIMED, signers),
            Variable(_ENABLE, "SecureBootEnable", _KEPT, b"\x01"),
        )
    )
    start, end = _free(flash)
    if start + len(new) > end:
        raise VmError("the firmware's variable file has no room for the keys")
    return flash[:start] + new + flash[start + len(new) :]


def variables(flash: bytes) -> tuple[Variable, ...]:
    """The live variables of a flash image, in their order.

    Raises:
        VmError: it is no store of authenticated variables.
    """
    return tuple(variable for _, variable in _walk(flash) if variable is not None)


def _free(flash: bytes) -> tuple[int, int]:
    """Where the next variable goes, and where the store ends."""
    begin, end = _bounds(flash)
    return max((after for after, _ in _walk(flash)), default=begin), end


def _walk(flash: bytes) -> Iterator[tuple[int, Variable | None]]:
    """Each record: where the next one starts, and its variable unless it was deleted."""
    at, end = _bounds(flash)
    while at + _VARIABLE.size <= end:
        start, state, _, attributes, _, _, _, name_size, data_size, vendor = _VARIABLE.unpack_from(
            flash, at
        )
        if start != _START:
            return
        name_at = at + _VARIABLE.size
        data_at = name_at + name_size
        after = data_at + data_size
        if after > end:
            raise VmError("the firmware's variable file is damaged")
        found = Variable(
            uuid.UUID(bytes_le=vendor),
            flash[name_at:data_at].decode("utf-16-le", "replace").rstrip("\0"),
            attributes,
            flash[data_at:after],
        )
        at = after + -after % 4
        yield at, found if state == _ADDED else None


def _bounds(flash: bytes) -> tuple[int, int]:
    """Where variables start and where their store ends."""
    try:
        _, signature, _, header, _, _, _, _ = _VOLUME.unpack_from(flash)
        guid, size, form, state, _, _ = _STORE_HEADER.unpack_from(flash, header)
    except struct.error as error:
        raise VmError("the firmware's variable file is too short") from error
    known = (signature, guid, form, state) == (
        b"_FVH",
        _STORE.bytes_le,
        _FORMATTED,
        _HEALTHY,
    )
    if not known or header + size > len(flash):
        raise VmError("the firmware's variable file holds no authenticated variables")
    return header + _STORE_HEADER.size, header + size


def _signature_list(certificate: bytes) -> bytes:
    """EFI_SIGNATURE_LIST with one X.509 certificate."""
    entry = _OWNER.bytes_le + certificate
    sizes = struct.pack("<III", 28 + len(entry), 0, len(entry))
    return _X509.bytes_le + sizes + entry


def _stamp(attributes: int) -> bytes:
    """EFI_TIME of an authenticated write: any later one replaces it."""
    if attributes & 0x20 == 0:
        return bytes(16)
    return struct.pack("<HBBBBBxIhBx", 2020, 1, 1, 0, 0, 0, 0, 0, 0)
