"""Builds tiny ELF files by hand, for tests here and in packages that use `tools.elf`."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from tools.elf import reader

_TYPES = {"rel": 1, "exec": 2, "dyn": 3}
_BASE = 0x400000


@dataclass(frozen=True, slots=True)
class Sample:
    """What the file is to say; `stack` is the flags of PT_GNU_STACK, None leaves it out."""

    kind: str = "dyn"
    interpreter: str = ""
    soname: str = ""
    needed: Sequence[str] = ()
    rpath: str = ""
    runpath: str = ""
    flags: int = 0
    flags_1: int = 0
    textrel: bool = False
    relro: bool = True
    stack: int | None = 6
    machine: int = 62
    bits: int = 64


def build(sample: Sample) -> bytes:
    """The bytes of a little-endian ELF file without sections."""
    wide = sample.bits == 64
    strings, tags = _dynamic_tags(sample)
    count = 2 + bool(sample.interpreter) + sample.relro + (sample.stack is not None)
    header_size, segment_size = (64, 56) if wide else (52, 32)
    interpreter = sample.interpreter.encode() + b"\0" if sample.interpreter else b""
    at_interpreter = header_size + count * segment_size
    at_strings = at_interpreter + len(interpreter)
    at_table = at_strings + len(strings)
    tags = [*tags, (reader.DT_STRTAB, _BASE + at_strings), (reader.DT_NULL, 0)]
    table = b"".join(struct.pack("<QQ" if wide else "<II", *tag) for tag in tags)
    size = at_table + len(table)
    segments = [(1, 5, 0, size), (2, 6, at_table, len(table))]
    if interpreter:
        segments.append((3, 4, at_interpreter, len(interpreter)))
    if sample.relro:
        segments.append((0x6474E552, 4, at_table, len(table)))
    if sample.stack is not None:
        segments.append((0x6474E551, sample.stack, 0, 0))
    body = b"".join(_segment(wide, *segment) for segment in segments)
    return _header(sample, wide, count) + body + interpreter + strings + table


def _dynamic_tags(sample: Sample) -> tuple[bytes, list[tuple[int, int]]]:
    strings = bytearray(b"\0")
    tags: list[tuple[int, int]] = []

    def add(tag: int, text: str) -> None:
        tags.append((tag, len(strings)))
        strings.extend(text.encode() + b"\0")

    for name in sample.needed:
        add(reader.DT_NEEDED, name)
    for tag, text in (
        (reader.DT_SONAME, sample.soname),
        (reader.DT_RPATH, sample.rpath),
        (reader.DT_RUNPATH, sample.runpath),
    ):
        if text:
            add(tag, text)
    for tag, value in ((reader.DT_FLAGS, sample.flags), (reader.DT_FLAGS_1, sample.flags_1)):
        if value:
            tags.append((tag, value))
    if sample.textrel:
        tags.append((reader.DT_TEXTREL, 0))
    return bytes(strings), tags


def _header(sample: Sample, wide: bool, count: int) -> bytes:
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1, 1]) + bytes(9)
    return ident + struct.pack(
        "<HHIQQQIHHHHHH" if wide else "<HHIIIIIHHHHHH",
        _TYPES[sample.kind],
        sample.machine,
        1,
        0,
        64 if wide else 52,
        0,
        0,
        64 if wide else 52,
        56 if wide else 32,
        count,
        0,
        0,
        0,
    )


def _segment(wide: bool, kind: int, flags: int, offset: int, size: int) -> bytes:
    address = _BASE + offset
    if wide:
        return struct.pack("<IIQQQQQQ", kind, flags, offset, address, address, size, size, 8)
    return struct.pack("<IIIIIIII", kind, offset, address, address, size, size, flags, 4)
