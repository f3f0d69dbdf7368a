"""Users and groups from sysusers.d(5), without a running system and with fixed numbers.

Differences from systemd-sysusers, both on purpose: a number is never picked ("-" must be
settled by the `ids` table), so that STATE keeps its owners over updates; and the result
does not depend on the order of files that describe different names.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from tools.image.errors import DataError

NOLOGIN = "/usr/sbin/nologin"
_DAY = 86400
_NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class User:
    """A line of passwd(5); the password is always in shadow(5), and locked."""

    name: str
    uid: int
    gid: int
    gecos: str = ""
    home: str = "/"
    shell: str = NOLOGIN
    expired: bool = False


@dataclass(slots=True)
class Accounts:
    """All users by name, groups with their numbers, and members of groups."""

    users: dict[str, User] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)

    def add_masters(self, passwd: str, group: str) -> None:
        """Take over base-passwd's passwd.master and group.master."""
        for line in filter(None, group.splitlines()):
            name, _, gid, members = line.split(":")
            self.groups[name] = int(gid)
            self.members[name] = set(filter(None, members.split(",")))
        for line in filter(None, passwd.splitlines()):
            name, _, uid, gid, gecos, home, shell = line.split(":")
            self.users[name] = User(name, int(uid), int(gid), gecos, home, shell)

    def files(self, epoch: int) -> dict[str, tuple[str, int]]:
        """passwd, group, shadow and gshadow: their text and mode, in stable order."""
        users = sorted(self.users.values(), key=lambda u: (u.uid, u.name))
        groups = sorted(self.groups.items(), key=lambda item: (item[1], item[0]))
        members = {name: ",".join(sorted(self.members.get(name, ()))) for name, _ in groups}
        day = epoch // _DAY
        return {
            "etc/passwd": (_text(_passwd(user) for user in users), 0o644),
            "etc/group": (_text(f"{n}:x:{gid}:{members[n]}" for n, gid in groups), 0o644),
            "etc/shadow": (_text(_shadow(user, day) for user in users), 0o640),
            "etc/gshadow": (_text(f"{n}:!*::{members[n]}" for n, _ in groups), 0o640),
        }


def _text(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _passwd(user: User) -> str:
    return f"{user.name}:x:{user.uid}:{user.gid}:{user.gecos}:{user.home}:{user.shell}"


def _shadow(user: User, day: int) -> str:
    return f"{user.name}:!*:{day}::::" + (":1:" if user.expired else "::")


@dataclass(frozen=True, slots=True)
class _Line:
    where: str
    kind: str
    name: str
    id: str
    gecos: str
    home: str
    shell: str


def apply(accounts: Accounts, files: Mapping[str, str], ids: Mapping[str, int]) -> None:
    """Add what sysusers.d files ask for.

    Args:
        accounts: extended in place.
        files: text by file name; as with systemd, names sort and the first mention of a
            user or group wins.
        ids: numbers for names whose line says "-"; a user's number is also its group's.

    Raises:
        DataError: a line cannot be read, or a number is missing or taken; it names both.
    """
    lines = [line for name in sorted(files) for line in _parse(name, files[name])]
    for line in lines:
        if line.kind == "g" and line.name not in accounts.groups:
            _add_group(accounts, line, _number(line, line.id, ids))
    for line in lines:
        if line.kind in ("u", "u!") and line.name not in accounts.users:
            _add_user(accounts, line, ids)
    for line in lines:
        if line.kind == "m":
            _add_member(accounts, line)


def _parse(name: str, text: str) -> Iterable[_Line]:
    for number, raw in enumerate(text.splitlines(), 1):
        where = f"{name}:{number}"
        if not raw.strip() or raw.lstrip().startswith("#"):
            continue
        try:
            words = shlex.split(raw)
        except ValueError as error:
            raise DataError(f"{where}: {error}") from error
        kind, who, *rest = [*words, "", ""][: max(2, len(words))]
        if kind == "r":
            continue
        if kind not in ("u", "u!", "g", "m") or not _NAME.match(who):
            raise DataError(f"{where}: not a line of sysusers.d: {raw.strip()}")
        fields = ["" if word == "-" else word for word in (*rest, "", "", "", "")]
        yield _Line(where, kind, who, *fields[:4])


def _number(line: _Line, wanted: str, ids: Mapping[str, int]) -> int:
    if wanted.isdigit():
        return int(wanted)
    if wanted:
        raise DataError(f"{line.where}: cannot use {wanted} as a number")
    if line.name not in ids:
        raise DataError(
            f"{line.where}: {line.name} has no number",
            f"give {line.name} one under [ids] in os/rootfs/tree.toml; it stays for ever",
        )
    return ids[line.name]


def _add_group(accounts: Accounts, line: _Line, gid: int) -> None:
    holder = next((name for name, number in accounts.groups.items() if number == gid), None)
    if holder is not None:
        raise DataError(f"{line.where}: group {line.name} wants {gid}, which is {holder}'s")
    accounts.groups[line.name] = gid
    accounts.members.setdefault(line.name, set())


def _add_user(accounts: Accounts, line: _Line, ids: Mapping[str, int]) -> None:
    wanted, colon, group = line.id.partition(":")
    uid = _number(line, "" if wanted == "-" else wanted, ids)
    holder = next((user.name for user in accounts.users.values() if user.uid == uid), None)
    if holder is not None:
        raise DataError(f"{line.where}: user {line.name} wants {uid}, which is {holder}'s")
    if colon:
        gid = int(group) if group.isdigit() else accounts.groups.get(group, -1)
        if gid < 0:
            raise DataError(f"{line.where}: {line.name} wants group {group}, which is nobody's")
    else:
        if line.name not in accounts.groups:
            _add_group(accounts, line, uid)
        gid = accounts.groups[line.name]
    accounts.users[line.name] = User(
        line.name,
        uid,
        gid,
        line.gecos,
        line.home or "/",
        line.shell or ("/bin/sh" if uid == 0 else NOLOGIN),
        expired=line.kind == "u!",
    )


def _add_member(accounts: Accounts, line: _Line) -> None:
    if line.name not in accounts.users or line.id not in accounts.groups:
        raise DataError(f"{line.where}: no user {line.name} or no group {line.id}")
    accounts.members.setdefault(line.id, set()).add(line.name)
