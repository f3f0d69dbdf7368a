"""What the headers of one ELF file say."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Kind(enum.Enum):
    """What a file is for."""

    PROGRAM = "program"
    """Runs at a fixed address (ET_EXEC)."""
    PIE = "pie"
    """Runs at any address: ET_DYN with an interpreter or DF_1_PIE."""
    LIBRARY = "library"
    """Is loaded by others."""
    OBJECT = "object"
    """Relocatable: linker input, BPF program."""
    OTHER = "other"
    """A core dump, or a type of no system we know."""


class Relro(enum.Enum):
    """Which relocation data is read-only after start."""

    NONE = "none"
    PARTIAL = "partial"
    FULL = "full"


class Stack(enum.Enum):
    """What PT_GNU_STACK asks for."""

    NX = "nx"
    EXECUTABLE = "executable"
    UNMARKED = "unmarked"


@dataclass(frozen=True, slots=True)
class ElfInfo:
    """Facts of one file; paths are as written in it, `$ORIGIN` not expanded.

    `machine` is the name of e_machine (`EM_X86_64`), `bits` 32 or 64; `interpreter` and `soname`
    are empty when absent. `runpath` wins over `rpath`, as in ld.so.
    """

    kind: Kind
    machine: str
    bits: int
    interpreter: str = ""
    soname: str = ""
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    textrel: bool = False
    relro: Relro = Relro.NONE
    stack: Stack = Stack.UNMARKED

    @property
    def loads(self) -> bool:
        """Whether the kernel or ld.so maps this file."""
        return self.kind in (Kind.PROGRAM, Kind.PIE, Kind.LIBRARY)

    def fits(self, other: ElfInfo) -> bool:
        """Whether ld.so accepts this file as a library of `other`."""
        return (self.machine, self.bits) == (other.machine, other.bits)
