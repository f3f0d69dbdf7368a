"""Membership changes as values, as text, and as the data of a log entry.

The first version changes one node at a time and is what etcd proposes; the second takes any
number at once and says how the joint configuration is left. Entry data is the
protocol-buffer form of raft.proto, so logs mean the same to every implementation.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

from services.etcd.raft.confchange import wire
from services.etcd.raft.errors import ConfChangeError
from services.etcd.raft.model import Entry, EntryType

_E = TypeVar("_E", bound=IntEnum)


class ChangeType(IntEnum):
    """What happens to the node; the numbers are those of raft.proto."""

    ADD_NODE = 0
    REMOVE_NODE = 1
    UPDATE_NODE = 2
    ADD_LEARNER_NODE = 3

    @property
    def letter(self) -> str:
        """The letter in the text form: v(oter), r(emove), u(pdate), l(earner)."""
        return "vrul"[self]


class Transition(IntEnum):
    """How a change of several nodes goes through joint consensus.

    AUTO uses it only when needed and leaves it by itself; JOINT_IMPLICIT always uses it and
    leaves it by itself; JOINT_EXPLICIT always uses it and waits for an empty change.
    """

    AUTO = 0
    JOINT_IMPLICIT = 1
    JOINT_EXPLICIT = 2


@dataclass(frozen=True, slots=True)
class ChangeSingle:
    """One node's part of a change."""

    type: ChangeType
    node: int

    def __str__(self) -> str:
        return f"{self.type.letter}{self.node}"


@dataclass(frozen=True, slots=True)
class ConfChangeV2:
    """Changes that take effect together; without any, the joint configuration is left."""

    changes: tuple[ChangeSingle, ...] = ()
    transition: Transition = Transition.AUTO
    context: bytes = b""

    def as_v2(self) -> ConfChangeV2:
        """Itself."""
        return self

    @property
    def leaves_joint(self) -> bool:
        """Whether this asks to leave the joint configuration."""
        return self.transition is Transition.AUTO and not self.changes

    @property
    def enters_joint(self) -> bool:
        """Whether this goes through joint consensus."""
        return self.transition is not Transition.AUTO or len(self.changes) > 1

    @property
    def auto_leave(self) -> bool:
        """Whether the joint configuration is to be left by itself."""
        return self.transition is not Transition.JOINT_EXPLICIT

    def entry(self) -> tuple[EntryType, bytes]:
        """Type and data of the log entry that proposes this."""
        if self == _LEAVE:
            return EntryType.CONF_CHANGE_V2, b""
        parts = [wire.number(1, self.transition)]
        for change in self.changes:
            parts.append(wire.blob(2, wire.number(1, change.type) + wire.number(2, change.node)))
        if self.context:
            parts.append(wire.blob(3, self.context))
        return EntryType.CONF_CHANGE_V2, b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> ConfChangeV2:
        """Read entry data. Raises ConfChangeError."""
        transition, changes, context = Transition.AUTO, [], b""
        for field, value in wire.fields(data):
            if field == 1:
                transition = _known(Transition, wire.as_number(value))
            elif field == 2:
                changes.append(_single(wire.as_blob(value)))
            elif field == 3:
                context = wire.as_blob(value)
        return cls(tuple(changes), transition, context)


_LEAVE = ConfChangeV2()


@dataclass(frozen=True, slots=True)
class ConfChange:
    """A change of one node. `id` and `context` belong to the proposer."""

    type: ChangeType
    node: int
    context: bytes = b""
    id: int = 0

    def as_v2(self) -> ConfChangeV2:
        """The same change in the second version."""
        return ConfChangeV2((ChangeSingle(self.type, self.node),), context=self.context)

    def entry(self) -> tuple[EntryType, bytes]:
        """Type and data of the log entry that proposes this."""
        parts = [wire.number(1, self.id)] if self.id else []
        parts += [wire.number(2, self.type), wire.number(3, self.node)]
        if self.context:
            parts.append(wire.blob(4, self.context))
        return EntryType.CONF_CHANGE, b"".join(parts)

    @classmethod
    def decode(cls, data: bytes) -> ConfChange:
        """Read entry data. Raises ConfChangeError."""
        kind, node, context, ident = ChangeType.ADD_NODE, 0, b"", 0
        for field, value in wire.fields(data):
            if field == 1:
                ident = wire.as_number(value)
            elif field == 2:
                kind = _known(ChangeType, wire.as_number(value))
            elif field == 3:
                node = wire.as_number(value)
            elif field == 4:
                context = wire.as_blob(value)
        return cls(kind, node, context, ident)


def change_of_entry(entry: Entry) -> ConfChange | ConfChangeV2 | None:
    """The change an entry proposes, None for other entries. Raises ConfChangeError."""
    if entry.type == EntryType.NORMAL:
        return None
    if entry.type == EntryType.CONF_CHANGE:
        return ConfChange.decode(entry.data)
    return ConfChangeV2.decode(entry.data)


def parse_changes(text: str) -> tuple[ChangeSingle, ...]:
    """Read the text form, such as `v3 l4 r5`.

    Raises ConfChangeError when a word is not a letter of `ChangeType` and a number.
    """
    changes = []
    for word in text.split():
        kinds = [kind for kind in ChangeType if kind.letter == word[0]]
        if not kinds or not word[1:].isdecimal():
            raise ConfChangeError(f"unknown input: {word}", "write v, l, r or u and a number")
        changes.append(ChangeSingle(kinds[0], int(word[1:])))
    return tuple(changes)


def format_changes(changes: tuple[ChangeSingle, ...]) -> str:
    """The text form; the inverse of `parse_changes`."""
    return " ".join(map(str, changes))


def _single(data: bytes) -> ChangeSingle:
    numbers = {field: wire.as_number(value) for field, value in wire.fields(data)}
    return ChangeSingle(_known(ChangeType, numbers.get(1, 0)), numbers.get(2, 0))


def _known(kind: type[_E], number: int) -> _E:
    try:
        return kind(number)
    except ValueError:
        raise ConfChangeError(f"unexpected {kind.__name__} {number}") from None
