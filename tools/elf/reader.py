"""Reads the headers of one ELF file with pyelftools.

Only the ELF header, the program headers and the dynamic table with its strings are read.
Section headers are for linkers and debuggers; ld.so ignores them and so do we.
"""

from __future__ import annotations

import functools
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from elftools.common.exceptions import ELFError
from elftools.common.utils import struct_parse
from elftools.construct import ConstructError
from elftools.elf.structs import ELFStructs

from tools.elf.errors import ElfError
from tools.elf.model import ElfInfo, Kind, Relro, Stack

MAGIC = b"\x7fELF"

MAX_SEGMENTS = 512
MAX_DYNAMIC = 1 << 20
MAX_STRING = 4096

DT_NULL, DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH = 0, 1, 5, 14, 15
DT_TEXTREL, DT_BIND_NOW, DT_RUNPATH, DT_FLAGS, DT_FLAGS_1 = 22, 24, 29, 30, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW, DF_1_NOW, DF_1_PIE = 0x4, 0x8, 0x1, 0x08000000
PF_X = 1

# pyelftools raises the first two; ValueError and OverflowError come from seeking to the
# absurd offsets of a corrupt header, and cover UnicodeDecodeError.
_MALFORMED = (ELFError, ConstructError, struct.error, ValueError, OverflowError)
_HINT = "the file is corrupt or not for Linux: rebuild or drop the package that brings it"

Entries = Sequence[tuple[int, int]]
"""The dynamic table: (tag, value) in file order, without the final DT_NULL."""


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: str
    offset: int
    address: int
    size: int
    flags: int


def read_elf(stream: BinaryIO, name: str) -> ElfInfo:
    """The facts of the ELF file in `stream`, which must be seekable; `name` is for messages.

    Raises:
        ElfError: not an ELF file, cut short, or inconsistent.
    """
    try:
        return _info(stream)
    except ElfError as error:
        raise ElfError(f"{name}: {error.message}", _HINT) from error
    except _MALFORMED as error:
        raise ElfError(f"{name}: malformed ELF headers ({type(error).__name__})", _HINT) from error


def _info(stream: BinaryIO) -> ElfInfo:
    structs = _structs(stream)
    header: Mapping[str, Any] = struct_parse(structs.Elf_Ehdr, stream, stream_pos=0)
    segments = tuple(_segments(stream, structs, header))
    entries = tuple(_dynamic(stream, structs, segments))
    strings = _file_offset(segments, _value(entries, DT_STRTAB))
    interpreter = _interpreter(stream, segments)
    tags = {tag for tag, _ in entries}
    flags, flags_1 = _value(entries, DT_FLAGS), _value(entries, DT_FLAGS_1)
    return ElfInfo(
        kind=_kind(str(header["e_type"]), bool(interpreter or flags_1 & DF_1_PIE)),
        machine=str(header["e_machine"]),
        bits=structs.elfclass,
        interpreter=interpreter,
        soname="".join(_strings(stream, strings, entries, DT_SONAME)[:1]),
        needed=_strings(stream, strings, entries, DT_NEEDED),
        rpath=_split(_strings(stream, strings, entries, DT_RPATH)),
        runpath=_split(_strings(stream, strings, entries, DT_RUNPATH)),
        textrel=DT_TEXTREL in tags or bool(flags & DF_TEXTREL),
        relro=_relro(
            segments,
            DT_BIND_NOW in tags or bool(flags & DF_BIND_NOW | flags_1 & DF_1_NOW),
        ),
        stack=_stack(segments),
    )


def _structs(stream: BinaryIO) -> ELFStructs:
    """The layouts for this file's class and byte order (ELF specification, e_ident)."""
    stream.seek(0)
    ident = stream.read(16)
    if len(ident) < 16 or ident[:4] != MAGIC:
        raise ElfError("not an ELF file")
    bits = {1: 32, 2: 64}.get(ident[4])
    order = {1: True, 2: False}.get(ident[5])
    if bits is None or order is None:
        raise ElfError(f"unknown ELF class {ident[4]} or byte order {ident[5]}")
    return _layouts(order, bits)


@functools.lru_cache
def _layouts(little_endian: bool, bits: int) -> ELFStructs:
    structs = ELFStructs(little_endian=little_endian, elfclass=bits)
    structs.create_basic_structs()
    structs.create_advanced_structs()
    return structs


def _segments(
    stream: BinaryIO, structs: ELFStructs, header: Mapping[str, Any]
) -> Iterator[_Segment]:
    count, step, start = header["e_phnum"], header["e_phentsize"], header["e_phoff"]
    if count > MAX_SEGMENTS:
        raise ElfError(f"{count} program headers, more than {MAX_SEGMENTS}")
    if count and step < structs.Elf_Phdr.sizeof():
        raise ElfError(f"program headers of {step} bytes are too short")
    for index in range(count):
        raw = struct_parse(structs.Elf_Phdr, stream, stream_pos=start + index * step)
        yield _Segment(
            str(raw["p_type"]),
            raw["p_offset"],
            raw["p_vaddr"],
            raw["p_filesz"],
            raw["p_flags"],
        )


def _dynamic(
    stream: BinaryIO, structs: ELFStructs, segments: Sequence[_Segment]
) -> Iterator[tuple[int, int]]:
    segment = _only(segments, "PT_DYNAMIC")
    if segment is None:
        return
    if segment.size > MAX_DYNAMIC:
        raise ElfError(f"dynamic table of {segment.size} bytes, more than {MAX_DYNAMIC}")
    pair = struct.Struct(
        ("<" if structs.little_endian else ">") + ("II" if structs.elfclass == 32 else "QQ")
    )
    data = _read(stream, segment.offset, segment.size)
    for tag, value in pair.iter_unpack(data[: len(data) - len(data) % pair.size]):
        if tag == DT_NULL:
            return
        yield tag, value


def _strings(stream: BinaryIO, table: int | None, entries: Entries, wanted: int) -> tuple[str, ...]:
    values = tuple(value for tag, value in entries if tag == wanted)
    if values and table is None:
        raise ElfError("dynamic strings lie outside every segment")
    return tuple(_string(stream, (table or 0) + value) for value in values)


def _string(stream: BinaryIO, offset: int) -> str:
    stream.seek(offset)
    text, end, _ = stream.read(MAX_STRING).partition(b"\0")
    if not end:
        raise ElfError(f"unterminated string at offset {offset}")
    return text.decode("utf-8")


def _interpreter(stream: BinaryIO, segments: Sequence[_Segment]) -> str:
    segment = _only(segments, "PT_INTERP")
    if segment is None:
        return ""
    if segment.size > MAX_STRING:
        raise ElfError(f"interpreter name of {segment.size} bytes")
    return _read(stream, segment.offset, segment.size).rstrip(b"\0").decode("utf-8")


def _read(stream: BinaryIO, offset: int, size: int) -> bytes:
    stream.seek(offset)
    data = stream.read(size)
    if len(data) != size:
        raise ElfError(f"cut short: {size} bytes wanted at offset {offset}, {len(data)} there")
    return data


def _only(segments: Sequence[_Segment], kind: str) -> _Segment | None:
    return next((segment for segment in segments if segment.kind == kind), None)


def _file_offset(segments: Sequence[_Segment], address: int) -> int | None:
    for segment in segments:
        inside = address - segment.address
        if segment.kind == "PT_LOAD" and 0 <= inside < segment.size:
            return segment.offset + inside
    return None


def _value(entries: Entries, wanted: int) -> int:
    return next((value for tag, value in entries if tag == wanted), 0)


def _split(paths: Sequence[str]) -> tuple[str, ...]:
    return tuple(part for path in paths for part in path.split(os.pathsep) if part)


def _kind(e_type: str, position_independent_program: bool) -> Kind:
    if e_type == "ET_DYN":
        return Kind.PIE if position_independent_program else Kind.LIBRARY
    return {"ET_EXEC": Kind.PROGRAM, "ET_REL": Kind.OBJECT}.get(e_type, Kind.OTHER)


def _relro(segments: Sequence[_Segment], bind_now: bool) -> Relro:
    if _only(segments, "PT_GNU_RELRO") is None:
        return Relro.NONE
    return Relro.FULL if bind_now else Relro.PARTIAL


def _stack(segments: Sequence[_Segment]) -> Stack:
    segment = _only(segments, "PT_GNU_STACK")
    if segment is None:
        return Stack.UNMARKED
    return Stack.EXECUTABLE if segment.flags & PF_X else Stack.NX
