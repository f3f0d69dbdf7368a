"""What can go wrong with a virtual machine."""

from __future__ import annotations

from tools.errors import StrakeError


class VmError(StrakeError):
    """A virtual machine cannot be started, reached or understood."""


class VmEnded(VmError):
    """The machine ended while something was still expected of it."""


class VmTimeout(VmError):
    """The machine did not do the expected thing in time."""


class QmpError(VmError):
    """QEMU refused a command, or its monitor spoke nonsense."""


class NoSuchVm(VmError):
    """No machine of that name is running."""
