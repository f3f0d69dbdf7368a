"""What can go wrong in `tools.elf`."""

from __future__ import annotations

from tools.errors import StrakeError


class ElfError(StrakeError):
    """A file claims to be ELF and is not well formed."""


class TreeError(StrakeError):
    """A tree cannot be read: no such directory, not a tar archive."""


class PolicyError(StrakeError):
    """The policy file is not valid."""
