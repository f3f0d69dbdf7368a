"""Tests of `tools.elf.reader`."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.elf.errors import ElfError
from tools.elf.model import ElfInfo, Kind, Relro, Stack
from tools.elf.reader import DF_1_NOW, DF_1_PIE, DF_BIND_NOW, DF_TEXTREL, read_elf
from tools.elf.sample import Sample, build


def read(sample: Sample) -> ElfInfo:
    return read_elf(io.BytesIO(build(sample)), "sample")


@pytest.mark.parametrize(
    ("sample", "kind"),
    [
        pytest.param(Sample(kind="exec"), Kind.PROGRAM, id="fixed"),
        pytest.param(Sample(interpreter="/lib64/ld.so"), Kind.PIE, id="pie"),
        pytest.param(Sample(flags_1=DF_1_PIE), Kind.PIE, id="static-pie"),
        pytest.param(Sample(), Kind.LIBRARY, id="library"),
        pytest.param(Sample(kind="rel"), Kind.OBJECT, id="object"),
    ],
)
def test_kind(sample: Sample, kind: Kind) -> None:
    assert read(sample).kind is kind


@pytest.mark.parametrize("bits", [32, 64])
def test_names_and_paths(bits: int) -> None:
    info = read(
        Sample(
            interpreter="/lib64/ld-linux-x86-64.so.2",
            soname="libme.so.1",
            needed=("libc.so.6", "libm.so.6"),
            rpath="/a",
            runpath="$ORIGIN/../lib:/b",
            bits=bits,
        )
    )
    assert info.bits == bits
    assert info.machine == "EM_X86_64"
    assert info.interpreter == "/lib64/ld-linux-x86-64.so.2"
    assert info.soname == "libme.so.1"
    assert info.needed == ("libc.so.6", "libm.so.6")
    assert info.rpath == ("/a",)
    assert info.runpath == ("$ORIGIN/../lib", "/b")


@pytest.mark.parametrize(
    ("sample", "relro", "stack", "textrel"),
    [
        pytest.param(Sample(), Relro.PARTIAL, Stack.NX, False, id="partial"),
        pytest.param(Sample(flags=DF_BIND_NOW), Relro.FULL, Stack.NX, False, id="bind-now"),
        pytest.param(Sample(flags_1=DF_1_NOW), Relro.FULL, Stack.NX, False, id="now"),
        pytest.param(Sample(relro=False), Relro.NONE, Stack.NX, False, id="no-relro"),
        pytest.param(Sample(stack=7), Relro.PARTIAL, Stack.EXECUTABLE, False, id="exec-stack"),
        pytest.param(Sample(stack=None), Relro.PARTIAL, Stack.UNMARKED, False, id="no-stack"),
        pytest.param(Sample(textrel=True), Relro.PARTIAL, Stack.NX, True, id="textrel-tag"),
        pytest.param(Sample(flags=DF_TEXTREL), Relro.PARTIAL, Stack.NX, True, id="textrel-flag"),
    ],
)
def test_hardening(sample: Sample, relro: Relro, stack: Stack, textrel: bool) -> None:
    info = read(sample)
    assert (info.relro, info.stack, info.textrel) == (relro, stack, textrel)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        pytest.param(b"", "not an ELF file", id="empty"),
        pytest.param(b"#!/bin/sh\n" + bytes(20), "not an ELF file", id="script"),
        pytest.param(b"\x7fELF\x07\x01" + bytes(20), "unknown ELF class 7", id="class"),
        pytest.param(build(Sample())[:30], "malformed ELF headers", id="header-cut"),
        pytest.param(build(Sample(needed=("libc.so.6",)))[:-20], "cut short", id="table-cut"),
    ],
)
def test_corrupt_files_name_the_file_and_the_fault(data: bytes, says: str) -> None:
    with pytest.raises(ElfError, match=f"^usr/bin/x: {says}"):
        read_elf(io.BytesIO(data), "usr/bin/x")


_WHOLE = build(
    Sample(interpreter="/lib/ld.so", soname="s", needed=("a", "b"), runpath="/r", flags=8)
)


@given(
    st.lists(st.tuples(st.integers(4, len(_WHOLE) - 1), st.integers(0, 255)), max_size=12),
    st.integers(0, len(_WHOLE)),
    st.sampled_from([32, 64]),
)
def test_no_corruption_escapes_as_anything_but_elf_error(
    changes: list[tuple[int, int]], length: int, bits: int
) -> None:
    whole = bytearray(_WHOLE if bits == 64 else build(Sample(needed=("a",), bits=32)))
    for position, value in changes:
        if position < len(whole):
            whole[position] = value
    try:
        info = read_elf(io.BytesIO(bytes(whole[:length])), "fuzzed")
    except ElfError as error:
        message = error.message
    else:
        message = f"fuzzed: {info.bits} bits"
    assert message.startswith("fuzzed: ")


@given(st.binary(max_size=400))
def test_random_bytes_after_the_magic(tail: bytes) -> None:
    with contextlib.suppress(ElfError):
        read_elf(io.BytesIO(b"\x7fELF\x02\x01\x01" + tail), "fuzzed")
