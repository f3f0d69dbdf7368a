"""The version of a release: BUILD.BRANCH.PATCH, kept in `release/version.toml`.

BUILD is the day the line was cut, counted from the epoch in the file; BRANCH is the
channel it was made for; PATCH counts corrections. Versions sort as their numbers do.
"""

from __future__ import annotations

import datetime
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tools.errors import StrakeError

BRANCHES = ("alpha", "beta", "stable")
_FORM = re.compile(r"(0|[1-9]\d{0,5})\.([0-2])\.(0|[1-9]\d{0,5})", re.ASCII)
_KEYS = ("epoch", "build", "branch", "patch")


class VersionError(StrakeError):
    """A version, or the file that holds it, is not valid."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """One release; `str()` gives the form used in file names and os-release."""

    build: int
    branch: int
    patch: int

    def __post_init__(self) -> None:
        if not _FORM.fullmatch(str(self)):
            raise VersionError(f"{self} is not a version", "want BUILD.BRANCH.PATCH, as 324.0.1")

    def __str__(self) -> str:
        return f"{self.build}.{self.branch}.{self.patch}"

    @property
    def channel(self) -> str:
        """The channel this branch feeds: alpha, beta or stable."""
        return BRANCHES[self.branch]


@dataclass(frozen=True, slots=True)
class VersionFile:
    """The content of `release/version.toml`."""

    epoch: datetime.date
    version: Version

    @property
    def cut_on(self) -> datetime.date:
        """The day that BUILD stands for."""
        return self.epoch + datetime.timedelta(days=self.version.build)

    def build_on(self, day: datetime.date) -> int:
        """The BUILD of a line cut on `day`.

        Raises:
            VersionError: the day lies before the epoch.
        """
        build = (day - self.epoch).days
        if build < 0:
            raise VersionError(f"{day} lies before the epoch {self.epoch}", "check the clock")
        return build


def parse_version(text: str) -> Version:
    """The version written as BUILD.BRANCH.PATCH.

    Raises:
        VersionError: it is written otherwise.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise VersionError(f"{text!r} is not a version", "want BUILD.BRANCH.PATCH, as 324.0.1")
    return Version(*(int(number) for number in match.groups()))


def parse_version_file(text: str, name: str) -> VersionFile:
    """The content of a version file; `name` is for messages.

    Raises:
        VersionError: not TOML, or a key is missing, unknown or of the wrong type.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise VersionError(f"{name}: {error}") from error
    if set(document) != set(_KEYS):
        raise VersionError(f"{name}: want exactly the keys {', '.join(_KEYS)}")
    epoch = document["epoch"]
    if not isinstance(epoch, datetime.date) or isinstance(epoch, datetime.datetime):
        raise VersionError(f"{name}: epoch must be a date, as 2026-01-01")
    numbers = [document[key] for key in _KEYS[1:]]
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in numbers):
        raise VersionError(f"{name}: build, branch and patch must be whole numbers")
    return VersionFile(epoch, Version(*numbers))


def load_version(path: Path) -> Version:
    """The version in the file at `path`.

    Raises:
        VersionError: the file cannot be read or is not valid.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VersionError(f"{path}: cannot be read as text") from error
    return parse_version_file(text, str(path)).version
