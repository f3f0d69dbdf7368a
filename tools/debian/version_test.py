from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tools.debian.version import Version, compare

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

ORDERED = [
    "0~",
    "0",
    "0.1",
    "1.0~rc1-1",
    "1.0~rc1-1+b1",
    "1.0",
    "1.0-0+deb13u1",
    "1.0-1~bpo1",
    "1.0-1",
    "1.0-1+b1",
    "1.0-1+deb13u1",
    "1.0a",
    "1.0+dfsg",
    "1.0.1",
    "1.2",
    "1.10",
    "257~rc2-1",
    "257-1",
    "1:0.1~a",
    "1:0.1",
    "10:0",
]

PARTS = st.text(alphabet="0129az.+~", min_size=1, max_size=8)
VERSIONS = st.builds(
    lambda epoch, upstream, revision: f"{epoch}{upstream}{revision}",
    st.sampled_from(["", "0:", "1:"]),
    PARTS,
    st.one_of(st.just(""), PARTS.map(lambda part: f"-{part}")),
)


@pytest.mark.parametrize("index", range(len(ORDERED) - 1), ids=ORDERED[1:])
def test_each_is_newer_than_the_one_before(index: int) -> None:
    assert compare(ORDERED[index], ORDERED[index + 1]) == -1
    assert compare(ORDERED[index + 1], ORDERED[index]) == 1


def test_sorting_restores_the_order() -> None:
    backwards = ORDERED[::-1]
    assert sorted(backwards, key=Version) == ORDERED


@pytest.mark.parametrize(
    ("left", "right"),
    [("1.0", "0:1.0"), ("1.0", "1.0-0"), ("1.0", "1.00"), ("1.0a", "1.0a0"), ("01", "1")],
)
def test_what_dpkg_calls_equal_is_equal(left: str, right: str) -> None:
    assert compare(left, right) == 0
    assert hash(Version(left)) == hash(Version(right))


@pytest.mark.parametrize("text", ["", "1 0", "a:1", "1:", "1_0", "ü"])
def test_other_text_is_no_version(text: str) -> None:
    with pytest.raises(ValueError, match="not a Debian version"):
        Version(text)


@UNTIMED
@given(VERSIONS, VERSIONS)
def test_agrees_with_the_algorithm_of_policy(left: str, right: str) -> None:
    assert compare(left, right) == _reference(left, right)


@UNTIMED
@given(VERSIONS, VERSIONS, VERSIONS)
def test_is_a_total_order(a: str, b: str, c: str) -> None:
    assert compare(a, b) == -compare(b, a)
    if compare(a, b) <= 0 and compare(b, c) <= 0:
        assert compare(a, c) <= 0


def _reference(left: str, right: str) -> int:
    """Policy 5.6.12 word by word: compare by eating both strings from the left."""
    for a, b in zip(_split(left), _split(right), strict=True):
        if result := _part(a, b):
            return result
    return 0


def _split(text: str) -> tuple[str, str, str]:
    epoch, text = text.split(":", 1) if ":" in text else ("0", text)
    upstream, revision = text.rsplit("-", 1) if "-" in text else (text, "")
    return epoch, upstream, revision


def _part(a: str, b: str) -> int:
    while a or b:
        while (a and not a[0].isdigit()) or (b and not b[0].isdigit()):
            x, y = _weight(a), _weight(b)
            if x != y:
                return 1 if x > y else -1
            a, b = a[1:], b[1:]
        left = a[: len(a) - len(a.lstrip("0123456789"))]
        right = b[: len(b) - len(b.lstrip("0123456789"))]
        if int(left or 0) != int(right or 0):
            return 1 if int(left or 0) > int(right or 0) else -1
        a, b = a[len(left) :], b[len(right) :]
    return 0


def _weight(text: str) -> int:
    if not text or text[0].isdigit():
        return 0
    if text[0] == "~":
        return -1
    return ord(text[0]) if text[0].isalpha() else ord(text[0]) + 256
