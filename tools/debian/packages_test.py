"""The repository's own packages.toml, packages.lock and keys."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tools.debian import lock, signature, wanted

ROOT = Path(__file__).parents[2] / "os" / "packages"

SETS = ("diff", "docker", "image", "kbuild", "mkimage", "resolve", "source", "vm")

FINGERPRINTS = {
    "trixie-automatic.asc": "04B54C3CDCA79751B16BC6B5225629DF75B188BD",
    "trixie-security-automatic.asc": "5E04A1E3223A19A20706E20F9904613D4CCE68C6",
    "trixie-stable.asc": "41587F7DB8C774BCCF131416762F67A0B2C39DE4",
}


@pytest.fixture(scope="module")
def locked() -> lock.Lock:
    return lock.load(ROOT / "packages.lock")


def test_the_lock_has_every_set_and_none_is_stale(locked: lock.Lock) -> None:
    assert locked.sets == SETS
    assert wanted.load(ROOT / "packages.toml").stale(locked.wanted) == ()


def test_the_lock_is_as_it_would_be_written(locked: lock.Lock) -> None:
    text = (ROOT / "packages.lock").read_text("utf-8")
    assert lock.dump(locked) == text
    assert "://" not in text


def test_the_epoch_is_the_newest_suite(locked: lock.Lock) -> None:
    assert locked.epoch == max(suite.date for suite in locked.suites)


@pytest.mark.parametrize("name", ["image", "docker"])
def test_no_package_manager_in_the_image(name: str, locked: lock.Lock) -> None:
    unwanted = {"apt", "debconf", "dpkg", "gnupg", "perl-base"}
    assert unwanted.isdisjoint(package.name for package in locked.subset(name))


def test_extensions_hold_nothing_that_the_image_has(locked: lock.Lock) -> None:
    image, docker = (
        {package.name for package in locked.subset(name)} for name in ("image", "docker")
    )
    assert image.isdisjoint(docker)


def test_omitted_packages_are_not_locked(locked: lock.Lock) -> None:
    for item in wanted.load(ROOT / "packages.toml").sets:
        names = {package.name for package in locked.subset(item.name)}
        assert names >= set(item.packages)
        assert names.isdisjoint(item.omit)


def test_pins_exactly_these_keys() -> None:
    found = {path.name: _fingerprint(path) for path in (ROOT / "keys").glob("*.asc")}
    assert found == FINGERPRINTS


def _fingerprint(path: Path) -> str:
    """Of the primary key: SHA-1 over the first packet, a version 4 key (RFC 9580, 5.5.4.2)."""
    data = signature.dearmour(path)
    if data[0] == 0x99:
        size, start = int.from_bytes(data[1:3], "big"), 3
    else:
        assert data[0] == 0x98
        size, start = data[1], 2
    packet = data[start : start + size]
    return hashlib.sha1(b"\x99" + size.to_bytes(2, "big") + packet).hexdigest().upper()
