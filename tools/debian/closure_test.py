from __future__ import annotations

import pytest

from tools.debian import closure


@pytest.mark.parametrize(
    ("relation", "expected"),
    [
        ("libc6 (>= 2.38), libgcc-s1", ["libc6", "libgcc-s1"]),
        ("a | b (<< 2~), c:any", ["a", "b", "c"]),
        ("libstdc++6 [amd64], x.y+z-1 <!nocheck>", ["libstdc++6", "x.y+z-1"]),
        ("", []),
    ],
)
def test_names_of_a_relation(relation: str, expected: list[str]) -> None:
    assert closure.names(relation) == expected


BLOCKS = {
    "tool": ["Package: tool\nDepends: lib (>= 1) | other\nRecommends: extra"],
    "lib": ["Package: lib\nPre-Depends: base", "Package: lib\nVersion: 2\nDepends: newer"],
    "newer": ["Package: newer"],
    "base": ["Package: base\nDepends: virtual"],
    "first": ["Package: first\nProvides: thing, virtual (= 1)\nDepends: far"],
    "far": ["Package: far\nConflicts: enemy"],
    "extra": ["Package: extra"],
    "enemy": ["Package: enemy"],
}


def test_follows_alternatives_versions_and_providers_but_nothing_weaker() -> None:
    assert closure.reachable(["tool"], BLOCKS) == {
        "tool",
        "lib",
        "other",
        "newer",
        "base",
        "virtual",
        "first",
        "far",
    }


def test_circles_end() -> None:
    blocks = {"a": ["Depends: b"], "b": ["Depends: a"]}
    assert closure.reachable(["a"], blocks) == {"a", "b"}
