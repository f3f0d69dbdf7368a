"""Errors of the kernel's configuration and build."""

from __future__ import annotations

from tools.errors import StrakeError


class KernelError(StrakeError):
    """The kernel cannot be built."""


class FragmentError(KernelError):
    """A fragment or a table beside it is not written as it should be, or two disagree."""


class KconfigError(KernelError):
    """A kernel source's Kconfig files cannot be read."""


class LostSymbols(KernelError):
    """Symbols that were asked for did not come true; one line each."""
