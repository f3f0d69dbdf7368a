"""Values as text, in the notation of recorded traces."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from services.etcd.raft.confchange import change_of_entry
from services.etcd.raft.confchange.change import format_changes
from services.etcd.raft.errors import ConfChangeError
from services.etcd.raft.model import (
    APPEND_THREAD,
    APPLY_THREAD,
    NONE,
    ConfState,
    Entry,
    EntryType,
    HardState,
    Message,
    Ready,
    Snapshot,
    SoftState,
)

Formatter = Callable[[bytes], str]
"""Turns the data of a normal entry into text."""

_ESCAPES = {ord("\a"): "\\a", ord("\b"): "\\b", ord("\f"): "\\f", ord("\n"): "\\n"}
_ESCAPES |= {ord("\r"): "\\r", ord("\t"): "\\t", ord("\v"): "\\v"}
_ESCAPES |= {ord('"'): '\\"', ord("\\"): "\\\\"}
_TARGETS = {NONE: "None", APPEND_THREAD: "AppendThread", APPLY_THREAD: "ApplyThread"}


def quote(data: bytes) -> str:
    """Data in double quotes; bytes that are not printable text are escaped."""
    out = []
    for char in data.decode("utf-8", "surrogateescape"):
        code = ord(char)
        if code in _ESCAPES:
            out.append(_ESCAPES[code])
        elif 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif char.isprintable():
            out.append(char)
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


def target(node: int) -> str:
    """A node in hexadecimal, or the name of a local thread."""
    return _TARGETS.get(node) or f"{node:x}"


def hard_state(state: HardState) -> str:
    """Such as `Term:1 Vote:1 Commit:3`."""
    vote = f" Vote:{state.vote}" if state.vote else ""
    return f"Term:{state.term}{vote} Commit:{state.commit}"


def soft_state(state: SoftState) -> str:
    """Such as `Lead:1 State:StateLeader`."""
    return f"Lead:{state.lead} State:{state.role.text}"


def conf_state(state: ConfState) -> str:
    """Such as `Voters:[1 2] VotersOutgoing:[] Learners:[] LearnersNext:[] AutoLeave:false`."""
    groups = {
        "Voters": state.voters,
        "VotersOutgoing": state.voters_outgoing,
        "Learners": state.learners,
        "LearnersNext": state.learners_next,
    }
    words = [f"{name}:[{' '.join(map(str, nodes))}]" for name, nodes in groups.items()]
    return " ".join([*words, f"AutoLeave:{_boolean(state.auto_leave)}"])


def snapshot(value: Snapshot) -> str:
    """Such as `Index:11 Term:1 ConfState:…`."""
    return f"Index:{value.index} Term:{value.term} ConfState:{conf_state(value.conf_state)}"


def entry(value: Entry, formatter: Formatter = quote) -> str:
    """Such as `1/4 EntryNormal "data"` or `1/5 EntryConfChangeV2 v3 l4`."""
    text = ""
    if value.type == EntryType.NORMAL:
        text = formatter(value.data)
    else:
        try:
            change = change_of_entry(value)
        except ConfChangeError as error:
            text = error.message
        else:
            text = format_changes(change.as_v2().changes) if change else ""
    return f"{value.term}/{value.index} {value.type.text}" + (f" {text}" if text else "")


def entries(values: Iterable[Entry], formatter: Formatter = quote) -> str:
    """One line per entry."""
    return "".join(f"{entry(value, formatter)}\n" for value in values)


def message(value: Message, formatter: Formatter = quote, indent: str = "") -> str:
    """One line, or more when several entries, a snapshot or responses are inside."""
    words = [
        f"{indent}{target(value.sender)}->{target(value.to)} {value.type.text}",
        f"Term:{value.term} Log:{value.log_term}/{value.index}",
    ]
    if value.reject:
        words.append(f"Rejected (Hint: {value.reject_hint})")
    if value.commit:
        words.append(f"Commit:{value.commit}")
    if value.vote:
        words.append(f"Vote:{value.vote}")
    if len(value.entries) == 1:
        words.append(f"Entries:[{entry(value.entries[0], formatter)}]")
    elif value.entries:
        lines = "".join(f"\n{indent}  {entry(item, formatter)}" for item in value.entries)
        words.append(f"Entries:[{lines}\n{indent}]")
    text = " ".join(words)
    if value.snapshot:
        text += f"\n{indent}  Snapshot: {snapshot(value.snapshot)}"
    if value.responses:
        lines = "".join("\n" + message(item, formatter, indent + "  ") for item in value.responses)
        text += f" Responses:[{lines}\n{indent}]"
    return text


def ready(value: Ready, formatter: Formatter = quote) -> str:
    """Everything a Ready holds, one thing per line; `<empty Ready>` when it is nothing."""
    parts = []
    if value.soft_state:
        parts.append(soft_state(value.soft_state))
    if value.hard_state:
        parts.append(f"HardState {hard_state(value.hard_state)}")
    if value.read_states:
        states = " ".join(_read_state(s.index, s.context) for s in value.read_states)
        parts.append(f"ReadStates [{states}]")
    if value.entries:
        parts.append("Entries:\n" + entries(value.entries, formatter).rstrip("\n"))
    if value.snapshot:
        parts.append(f"Snapshot {snapshot(value.snapshot)}")
    if value.committed_entries:
        text = entries(value.committed_entries, formatter)
        parts.append("CommittedEntries:\n" + text.rstrip("\n"))
    if value.messages:
        parts += ["Messages:", *(message(item, formatter) for item in value.messages)]
    if not parts:
        return "<empty Ready>"
    return f"Ready MustSync={_boolean(value.must_sync)}:\n" + "\n".join(parts) + "\n"


def _read_state(index: int, context: bytes) -> str:
    return f"{{{index} [{' '.join(map(str, context))}]}}"


def _boolean(value: bool) -> str:
    return "true" if value else "false"
