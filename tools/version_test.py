"""Tests of `tools.version`."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.version import (
    Version,
    VersionError,
    load_version,
    parse_version,
    parse_version_file,
)

GOOD = "epoch = 2026-01-01\nbuild = 324\nbranch = 2\npatch = 1\n"
NUMBERS = st.builds(Version, st.integers(0, 999999), st.integers(0, 2), st.integers(0, 999999))


@given(NUMBERS)
def test_text_and_back(version: Version) -> None:
    assert parse_version(str(version)) == version


@given(st.lists(NUMBERS, min_size=2, max_size=5))
def test_order_is_that_of_the_numbers(versions: list[Version]) -> None:
    assert sorted(versions) == sorted(versions, key=lambda v: (v.build, v.branch, v.patch))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1.2",
        "1.2.3.4",
        "01.0.0",
        "1.3.0",
        "-1.0.0",
        "1.0.x",
        "1.0.0\n",
        "\u0661.0.0",
        "1\u0660.0.0",
    ],
)
def test_not_a_version(text: str) -> None:
    with pytest.raises(VersionError, match="is not a version"):
        parse_version(text)


def test_file() -> None:
    file = parse_version_file(GOOD, "version.toml")
    assert str(file.version) == "324.2.1"
    assert file.version.channel == "stable"
    assert file.cut_on == datetime.date(2026, 11, 21)
    assert file.build_on(datetime.date(2026, 1, 2)) == 1


def test_no_build_before_the_epoch() -> None:
    with pytest.raises(VersionError, match="before the epoch"):
        parse_version_file(GOOD, "f").build_on(datetime.date(2025, 12, 31))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("=", "f: ", id="not-toml"),
        pytest.param("build = 1\n", "exactly the keys", id="missing"),
        pytest.param(GOOD + "x = 1\n", "exactly the keys", id="unknown"),
        pytest.param(GOOD.replace("2026-01-01", '"2026"'), "must be a date", id="epoch"),
        pytest.param(
            GOOD.replace("2026-01-01", "2026-01-01T00:00:00Z"), "must be a date", id="time"
        ),
        pytest.param(GOOD.replace("324", "true"), "whole numbers", id="boolean"),
        pytest.param(GOOD.replace("branch = 2", "branch = 3"), "not a version", id="branch"),
    ],
)
def test_bad_file(text: str, says: str) -> None:
    with pytest.raises(VersionError, match=says):
        parse_version_file(text, "f")


def test_load(tmp_path: Path) -> None:
    path = tmp_path / "version.toml"
    with pytest.raises(VersionError, match="cannot be read"):
        load_version(path)
    path.write_text(GOOD)
    assert load_version(path) == Version(324, 2, 1)
