"""The checks; each takes the overlay as a mapping and yields one line per problem."""

from __future__ import annotations

import posixpath
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

UNITS = "usr/lib/systemd/system/"
PRESETS = "usr/lib/systemd/system-preset/"
SYSUSERS = "usr/lib/sysusers.d/"
TMPFILES = "usr/lib/tmpfiles.d/"
SYSCTL = "usr/lib/sysctl.d/"

_SECTIONS = {
    "service": {"Unit", "Service", "Install"},
    "socket": {"Unit", "Socket", "Install"},
    "timer": {"Unit", "Timer", "Install"},
    "target": {"Unit", "Install"},
    "mount": {"Unit", "Mount", "Install"},
    "automount": {"Unit", "Automount", "Install"},
    "network": {"Match", "Link", "Network", "DHCPv4", "DHCPv6"},
}
_TMPFILES_TYPE = re.compile(r"[fwdDevqQpLcbCxXrRzZtThHaA][+!?=~^$-]*")
_IMPORTED = {"login.motd", "login.issue", "network.hosts", "ssh.authorized_keys.root"}
"""Credentials that systemd-tmpfiles-setup.service imports by itself."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the overlay: its text, and whether it is executable."""

    text: str
    executable: bool


Overlay = Mapping[str, File]
"""Files by path relative to the root."""


def load(directory: Path) -> dict[str, File]:
    """The files below a directory; all of them are text."""
    return {
        path.relative_to(directory).as_posix(): File(
            path.read_text(encoding="utf-8"), bool(path.stat().st_mode & 0o100)
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }


def lint(overlay: Overlay) -> list[str]:
    """Every problem found, sorted."""
    checks = (executables, units, presets, users, temporary_files, sysctls)
    return sorted(line for check in checks for line in check(overlay))


def executables(overlay: Overlay) -> Iterator[str]:
    """A file is executable exactly if it says what executes it."""
    for path, file in overlay.items():
        if file.text.startswith("#!") != file.executable:
            yield f"{path}: mode and first line disagree on whether it is a program"


def units(overlay: Overlay) -> Iterator[str]:
    """Sections fit the type, settings are assignments, our own programs and units exist."""
    for path, file in _unit_files(overlay):
        kind = _unit_name(path).rpartition(".")[2]
        if kind not in _SECTIONS:
            yield f"{path}: unknown type of unit"
            continue
        for section, key, value in _settings(file.text):
            if section not in _SECTIONS[kind]:
                yield f"{path}: section [{section}] does not belong here"
            if not key:
                yield f"{path}: {value!r} is no assignment"
            if key.startswith("Exec"):
                yield from _program(overlay, path, value)
            if key in {"Unit", "OnFailure", "Requires", "Wants", "After", "Before"}:
                yield from (
                    f"{path}: {key}={name}: no such unit"
                    for name in value.split()
                    if name.startswith("strake-") and UNITS + name not in overlay
                )
        if ".d/" not in path and kind != "network" and "\nDescription=" not in file.text:
            yield f"{path}: a unit has a description"


def presets(overlay: Overlay) -> Iterator[str]:
    """Presets name our units, and every unit of ours that can be enabled is decided on."""
    enabled: set[str] = set()
    for path, file in overlay.items():
        if not path.startswith(PRESETS):
            continue
        for line in _lines(file.text):
            verb, _, name = line.partition(" ")
            if verb not in {"enable", "disable"}:
                yield f"{path}: {line!r} is neither enable nor disable"
            enabled.add(name)
            if name.startswith("strake-") and UNITS + name not in overlay:
                yield f"{path}: {name}: no such unit"
    for path, file in _unit_files(overlay):
        if ".d/" not in path and "\n[Install]" in file.text and _unit_name(path) not in enabled:
            yield f"{path}: can be enabled, and no preset says whether it is"


def users(overlay: Overlay) -> Iterator[str]:
    """Every user and group has its own fixed number."""
    groups: dict[str, str] = {}
    names: dict[str, str] = {}
    for path, file in overlay.items():
        if not path.startswith(SYSUSERS):
            continue
        for line in _lines(file.text):
            kind, name, number, *_ = [*shlex.split(line), "", ""]
            owner = groups if kind == "g" else names
            if kind == "m":
                if name not in names:
                    yield f"{path}: {name} is in a group and no user"
            elif not number.partition(":")[0].isdigit():
                yield f"{path}: {name} has no fixed number"
            elif owner.setdefault(number.partition(":")[0], name) != name:
                yield f"{path}: number {number} is of {owner[number.partition(':')[0]]} and {name}"
            else:
                names |= {name: name} if kind.startswith("u") else {}


def temporary_files(overlay: Overlay) -> Iterator[str]:
    """Lines are well formed, users exist, and credentials are handed to the service."""
    known = {
        shlex.split(line)[1]
        for path, file in overlay.items()
        if path.startswith(SYSUSERS)
        for line in _lines(file.text)
    }
    imported = _IMPORTED | {
        value
        for path, file in _unit_files(overlay)
        if "/systemd-tmpfiles-setup.service.d/" in path
        for _, key, value in _settings(file.text)
        if key == "ImportCredential"
    }
    for path, file in overlay.items():
        if not path.startswith(TMPFILES):
            continue
        for line in _lines(file.text):
            fields = [*shlex.split(line), "-", "-", "-", "-", "-"][:7]
            if not _TMPFILES_TYPE.fullmatch(fields[0]) or not fields[1].startswith("/"):
                yield f"{path}: {line!r} is no line of tmpfiles.d"
            for name in fields[3:5]:
                if name.lstrip(":") not in known | {"-"}:
                    yield f"{path}: {fields[1]}: no user or group {name}"
            if "^" in fields[0] and fields[6] not in imported:
                yield f"{path}: {fields[1]}: nothing imports the credential {fields[6]}"


def sysctls(overlay: Overlay) -> Iterator[str]:
    """Every setting is made once."""
    seen: set[str] = set()
    for path, file in overlay.items():
        for line in _lines(file.text) if path.startswith(SYSCTL) else ():
            key, equals, value = (part.strip() for part in line.partition("="))
            if not equals or not value or not re.fullmatch(r"[a-z0-9_.]+", key):
                yield f"{path}: {line!r} is no setting"
            elif key in seen:
                yield f"{path}: {key} is set twice"
            seen.add(key)


def _program(overlay: Overlay, path: str, value: str) -> Iterator[str]:
    program = value.lstrip("-@:+!").partition(" ")[0].lstrip("/")
    if not program.startswith("usr/lib/strake/"):
        return
    file = overlay.get(program)
    if file is None or not file.executable:
        yield f"{path}: runs /{program}, which is no program of the overlay"


def _unit_files(overlay: Overlay) -> Iterator[tuple[str, File]]:
    for path, file in overlay.items():
        if path.startswith((UNITS, "usr/lib/systemd/network/")):
            yield path, file


def _unit_name(path: str) -> str:
    folder = posixpath.basename(posixpath.dirname(path))
    return folder.removesuffix(".d") if folder.endswith(".d") else posixpath.basename(path)


def _lines(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip() and not line.startswith(("#", ";")):
            yield line.strip()


def _settings(text: str) -> Iterator[tuple[str, str, str]]:
    """(section, key, value) of each assignment; the key is empty for any other line."""
    section = ""
    for line in _lines(text):
        if line.startswith("[") and line.endswith("]"):
            section = line[1:-1]
        elif "=" in line:
            key, _, value = line.partition("=")
            yield section, key.strip(), value.strip()
        else:
            yield section, "", line
