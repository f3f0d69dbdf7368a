"""What the raft core can refuse.

`ProposalDroppedError` is an answer, not a fault: the caller retries or tells its client.
`InvariantError` means that the log, the storage or the host broke the contract; the node must
stop, since going on could acknowledge a write that is later lost.
"""

from __future__ import annotations


class RaftError(Exception):
    """Base of all errors of this package; `message` is one line, `hint` may be empty."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(RaftError):
    """A setting of the node is out of range or contradicts another."""


class InvariantError(RaftError):
    """A rule of the protocol or of the storage contract was broken; the node cannot go on."""


class ProposalDroppedError(RaftError):
    """The proposal was not taken; nothing was appended and it may be tried again."""

    def __init__(self, message: str = "raft proposal dropped", hint: str = "") -> None:
        super().__init__(message, hint)


class StepLocalError(RaftError):
    """A message that only the own host may send came in from elsewhere."""

    def __init__(self) -> None:
        super().__init__("raft: cannot step raft local message")


class StepPeerNotFoundError(RaftError):
    """A response came from a node that is not part of the configuration."""

    def __init__(self) -> None:
        super().__init__("raft: cannot step as peer not found")


class ConfChangeError(RaftError):
    """A configuration change does not apply to the present configuration, or cannot be read."""


class StorageError(RaftError):
    """Base of what a storage may answer instead of entries."""


class CompactedError(StorageError):
    """The index lies before the first one kept."""

    def __init__(self) -> None:
        super().__init__("requested index is unavailable due to compaction")


class UnavailableError(StorageError):
    """The index lies beyond the last one stored."""

    def __init__(self) -> None:
        super().__init__("requested entry at index is unavailable")


class SnapshotOutOfDateError(StorageError):
    """The storage already holds a snapshot at or beyond this index."""

    def __init__(self) -> None:
        super().__init__("requested index is older than the existing snapshot")


class SnapshotUnavailableError(StorageError):
    """A snapshot is being made; ask again later."""

    def __init__(self) -> None:
        super().__init__("snapshot is temporarily unavailable")
