"""Values that the raft core takes and returns: entries, messages, states, snapshots.

Indexes, terms and node numbers are unsigned 64-bit integers; 0 means none. All values are
immutable to the type checker. Two shapes are chosen for speed, by measurement on CPython 3.13:
`Entry` is a named tuple (made by the thousand per second) and `Message` skips the run-time
freeze of its dataclass, which costs three times the construction itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import count, repeat
from typing import NamedTuple, TypeVar, dataclass_transform

NONE = 0
"""No node: the leader before one is known, the vote before it is given."""

NO_LIMIT = (1 << 64) - 1
"""A size limit that never bites."""

APPEND_THREAD = (1 << 64) - 1
"""Address of the local storage in `STORAGE_APPEND` messages."""

APPLY_THREAD = (1 << 64) - 2
"""Address of the local state machine in `STORAGE_APPLY` messages."""

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def _value(cls: type[_T]) -> type[_T]:
    """A slotted dataclass that only the type checker keeps from being changed."""
    return dataclass(slots=True)(cls)


class EntryType(IntEnum):
    """What the data of an entry is; the numbers are those of raft.proto."""

    NORMAL = 0
    CONF_CHANGE = 1
    CONF_CHANGE_V2 = 2

    @property
    def text(self) -> str:
        return _ENTRY_TEXT[self]


_ENTRY_TEXT = {
    EntryType.NORMAL: "EntryNormal",
    EntryType.CONF_CHANGE: "EntryConfChange",
    EntryType.CONF_CHANGE_V2: "EntryConfChangeV2",
}


class MessageType(IntEnum):
    """Kinds of messages; the numbers are those of raft.proto."""

    HUP = 0
    BEAT = 1
    PROP = 2
    APP = 3
    APP_RESP = 4
    VOTE = 5
    VOTE_RESP = 6
    SNAP = 7
    HEARTBEAT = 8
    HEARTBEAT_RESP = 9
    UNREACHABLE = 10
    SNAP_STATUS = 11
    CHECK_QUORUM = 12
    TRANSFER_LEADER = 13
    TIMEOUT_NOW = 14
    READ_INDEX = 15
    READ_INDEX_RESP = 16
    PRE_VOTE = 17
    PRE_VOTE_RESP = 18
    STORAGE_APPEND = 19
    STORAGE_APPEND_RESP = 20
    STORAGE_APPLY = 21
    STORAGE_APPLY_RESP = 22
    FORGET_LEADER = 23

    @property
    def text(self) -> str:
        """The name in traces and logs, such as `MsgAppResp`."""
        return "Msg" + "".join(word.capitalize() for word in self.name.split("_"))


LOCAL_TYPES = frozenset(
    {
        MessageType.HUP,
        MessageType.BEAT,
        MessageType.UNREACHABLE,
        MessageType.SNAP_STATUS,
        MessageType.CHECK_QUORUM,
        MessageType.STORAGE_APPEND,
        MessageType.STORAGE_APPEND_RESP,
        MessageType.STORAGE_APPLY,
        MessageType.STORAGE_APPLY_RESP,
    }
)
"""Types that never travel between nodes."""

RESPONSE_TYPES = frozenset(
    {
        MessageType.APP_RESP,
        MessageType.VOTE_RESP,
        MessageType.HEARTBEAT_RESP,
        MessageType.UNREACHABLE,
        MessageType.READ_INDEX_RESP,
        MessageType.PRE_VOTE_RESP,
        MessageType.STORAGE_APPEND_RESP,
        MessageType.STORAGE_APPLY_RESP,
    }
)
"""Types that answer; taken only from members of the configuration."""


def is_local_target(node: int) -> bool:
    """Whether this address is one of the two local threads and not a node."""
    return node >= APPLY_THREAD


class Role(IntEnum):
    """What a node is at the moment."""

    FOLLOWER = 0
    CANDIDATE = 1
    LEADER = 2
    PRE_CANDIDATE = 3

    @property
    def text(self) -> str:
        return "State" + "".join(word.capitalize() for word in self.name.split("_"))


class Entry(NamedTuple):
    """One position of the log."""

    term: int
    index: int  # type: ignore[assignment]  # hides tuple.index, which has no use here
    type: EntryType = EntryType.NORMAL
    data: bytes = b""


_new_tuple: Callable[[type[Entry], Iterable[object]], Entry] = tuple.__new__


def normal_entries(term: int, first_index: int, data: Iterable[bytes]) -> list[Entry]:
    """Consecutive normal entries; several times as fast as making them one by one."""
    rows = zip(repeat(term), count(first_index), repeat(EntryType.NORMAL), data, strict=False)
    return list(map(_new_tuple, repeat(Entry), rows))


@dataclass(frozen=True, slots=True)
class HardState:
    """What must be on disk before a message that depends on it leaves."""

    term: int = 0
    vote: int = NONE
    commit: int = 0

    def __bool__(self) -> bool:
        return bool(self.term or self.vote or self.commit)


@dataclass(frozen=True, slots=True)
class SoftState:
    """What is useful to know and need not survive."""

    lead: int = NONE
    role: Role = Role.FOLLOWER


@dataclass(frozen=True, slots=True)
class ConfState:
    """The membership as kept in a snapshot. Joint when `voters_outgoing` is not empty."""

    voters: tuple[int, ...] = ()
    learners: tuple[int, ...] = ()
    voters_outgoing: tuple[int, ...] = ()
    learners_next: tuple[int, ...] = ()
    auto_leave: bool = False

    def equivalent(self, other: ConfState) -> bool:
        """Whether both describe the same membership, whatever the order of numbers."""
        return self.canonical() == other.canonical()

    def canonical(self) -> ConfState:
        """The same membership in ascending order."""
        return ConfState(
            tuple(sorted(self.voters)),
            tuple(sorted(self.learners)),
            tuple(sorted(self.voters_outgoing)),
            tuple(sorted(self.learners_next)),
            self.auto_leave,
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State machine contents at `index`, and the membership there. Index 0 means none."""

    data: bytes = b""
    conf_state: ConfState = ConfState()
    index: int = 0
    term: int = 0

    def __bool__(self) -> bool:
        return self.index != 0


@_value
class Message:
    """One message between nodes, or between a node and its local threads.

    `log_term` and `index` name the entry before `entries` in APP, the entry hinted at or
    matched in APP_RESP, and the last entry of a candidate in votes.
    """

    type: MessageType
    to: int = NONE
    sender: int = NONE
    term: int = 0
    log_term: int = 0
    index: int = 0
    entries: Sequence[Entry] = ()
    commit: int = 0
    vote: int = NONE
    snapshot: Snapshot | None = None
    reject: bool = False
    reject_hint: int = 0
    context: bytes = b""
    responses: tuple[Message, ...] = ()


@dataclass(frozen=True, slots=True)
class ReadState:
    """Answer to a read request: serve it once `index` is applied."""

    index: int
    context: bytes


@_value
class Ready:
    """What the host must do now; see `node.Node.ready`.

    Write `entries`, `hard_state` and `snapshot`, sync them when `must_sync`, then send
    `messages`, apply `committed_entries`, and call `advance`. With async storage writes the
    same work travels in `messages` to the local threads; the other fields then only inform.
    """

    soft_state: SoftState | None
    hard_state: HardState | None
    read_states: tuple[ReadState, ...]
    entries: tuple[Entry, ...]
    snapshot: Snapshot | None
    committed_entries: tuple[Entry, ...]
    messages: tuple[Message, ...]
    must_sync: bool
