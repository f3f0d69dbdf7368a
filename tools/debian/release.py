"""A suite's Release file: which index has which hash, and until when that may be believed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from tools.debian import deb822
from tools.debian.errors import SignatureError

CLOCK_SKEW = timedelta(hours=24)
"""How far in the future a release may be dated: mirrors push before some clocks agree."""

_HEX = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True, slots=True)
class IndexFile:
    """One file a Release file vouches for; `path` is relative to it, `size` in bytes."""

    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Release:
    """What a verified Release file says. `valid_until` is None where it sets no end."""

    suite: str
    codename: str
    date: datetime
    valid_until: datetime | None
    files: Mapping[str, IndexFile]
    by_hash: bool
    splits_arch_all: bool

    @property
    def epoch(self) -> int:
        """Its date in seconds since 1970."""
        return int(self.date.timestamp())


def parse(text: str) -> Release:
    """Read the signed text of a Release file.

    Raises:
        SignatureError: a field that trust depends upon is missing or unreadable.
    """
    fields = deb822.parse(text)
    try:
        codename, suite = fields["codename"], fields.get("suite", "")
        date, sums = _date(fields["date"]), fields["sha256"]
        until = _date(fields["valid-until"]) if "valid-until" in fields else None
    except KeyError as error:
        raise SignatureError(f"the release file has no field {error.args[0]}") from error
    except ValueError as error:
        raise SignatureError(f"the release file has an unreadable date: {error}") from error
    architectures = fields.get("architectures", "").split()
    unsplit = "Packages" in fields.get("no-support-for-architecture-all", "").split()
    return Release(
        suite=suite,
        codename=codename,
        date=date,
        valid_until=until,
        files=MappingProxyType(_files(sums)),
        by_hash=fields.get("acquire-by-hash") == "yes",
        splits_arch_all="all" in architectures and not unsplit,
    )


def check(release: Release, wanted: str, now: datetime, allow_expired: bool = False) -> None:
    """Check that a release is the one asked for and may be believed at `now`.

    A mirror could answer with another suite's release, or with an old one for ever: the
    signature would hold for both.

    Raises:
        SignatureError: it is another suite, from the future, or has expired.
    """
    if wanted not in (release.codename, release.suite):
        raise SignatureError(
            f"{wanted}: the mirror answered with the release file of {release.codename}",
            "use another mirror: set STRAKE_DEBIAN_MIRROR",
        )
    if release.date > now + CLOCK_SKEW:
        raise SignatureError(
            f"{wanted}: release file is dated {release.date:%Y-%m-%d %H:%M} UTC, in the future",
            "set this machine's clock",
        )
    if release.valid_until is not None and release.valid_until < now and not allow_expired:
        raise SignatureError(
            f"{wanted}: release file expired on {release.valid_until:%Y-%m-%d %H:%M} UTC",
            "use a mirror that is up to date: set STRAKE_DEBIAN_MIRROR",
        )


def _date(text: str) -> datetime:
    # "UTC" is read as an unknown zone by email.utils, and apt always writes UTC.
    return parsedate_to_datetime(text).replace(tzinfo=UTC)


def _files(sums: str) -> dict[str, IndexFile]:
    files: dict[str, IndexFile] = {}
    for line in sums.split("\n"):
        words = line.split()
        if not words:
            continue
        if len(words) != 3 or not _HEX.match(words[0]) or not words[1].isdigit():
            raise SignatureError(f"the release file has an unreadable line: {line.strip()!r}")
        files[words[2]] = IndexFile(words[2], words[0], int(words[1]))
    return files
