"""What can go wrong between an archive and a tools tree."""

from __future__ import annotations

from tools.errors import StrakeError


class DebianError(StrakeError):
    """Any failure of `tools.debian`."""


class SignatureError(DebianError):
    """A release file is not signed by a pinned key, or its dates do not hold."""


class MirrorError(DebianError):
    """No mirror is known, or the one that is known does not answer."""


class MissingError(MirrorError):
    """The mirror answers, but does not have the file."""


class PackageError(DebianError):
    """A package is not the one the lock names: changed, missing or truncated."""


class LockError(DebianError):
    """The lock, or the list of wanted packages, is not well formed."""


class ResolveError(DebianError):
    """The wanted packages cannot be installed together."""


class DebError(DebianError):
    """A .deb file is malformed or would write outside its tree."""


class TreeError(DebianError):
    """A tools tree cannot be made, or is no longer what it was."""


class StoreError(DebianError):
    """The store cannot be written."""
