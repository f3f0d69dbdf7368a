from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tools.debian import fakes, release
from tools.debian.errors import SignatureError

ARCHIVE = fakes.Archive(Path("/nowhere"))
TEXT = ARCHIVE.release(b"index")
RELEASE = release.parse(TEXT)


def test_reads_dates_and_hashes() -> None:
    assert RELEASE.codename == "stable"
    assert RELEASE.date == ARCHIVE.date
    assert RELEASE.epoch == int(ARCHIVE.date.timestamp())
    assert RELEASE.valid_until == ARCHIVE.date + timedelta(days=7)
    file = RELEASE.files["main/binary-amd64/Packages.xz"]
    assert file.size == len(b"index")
    assert not RELEASE.splits_arch_all


@pytest.mark.parametrize(
    ("architectures", "unsplit", "splits"),
    [("amd64", "", False), ("all amd64", "", True), ("all amd64", "Packages", False)],
)
def test_knows_where_packages_for_all_are(architectures: str, unsplit: str, splits: bool) -> None:
    text = TEXT.replace("Architectures: amd64", f"Architectures: {architectures}")
    text += f"No-Support-for-Architecture-all: {unsplit}\n" if unsplit else ""
    assert release.parse(text).splits_arch_all is splits


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Codename: stable\n", "", "no field codename"),
        ("Date: ", "Date: some day in ", "unreadable date"),
        ("SHA256:", "SHA1:", "no field sha256"),
        (" 5 main", " five main", "unreadable line"),
    ],
)
def test_refuses_a_release_without_what_trust_needs(old: str, new: str, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        release.parse(TEXT.replace(old, new))


@pytest.mark.parametrize(
    ("suite", "now", "message"),
    [
        ("testing", fakes.NOW, "answered with the release file of stable"),
        ("stable", fakes.NOW - timedelta(days=3), "in the future"),
        ("stable", fakes.NOW + timedelta(days=6, seconds=1), "expired on"),
    ],
)
def test_does_not_believe(suite: str, now: datetime, message: str) -> None:
    with pytest.raises(SignatureError, match=message):
        release.check(RELEASE, suite, now)


@pytest.mark.parametrize(
    "now",
    [fakes.NOW, fakes.NOW + timedelta(days=6), fakes.NOW - timedelta(days=2)],
    ids=["now", "last second", "clock a day behind"],
)
def test_believes_while_it_holds(now: datetime) -> None:
    release.check(RELEASE, "stable", now)


def test_a_release_without_end_never_expires() -> None:
    endless = fakes.Archive(Path("/nowhere"), valid_for=None).release(b"index")
    release.check(release.parse(endless), "stable", datetime(2099, 1, 1, tzinfo=UTC))
