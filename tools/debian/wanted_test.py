from __future__ import annotations

from pathlib import Path

import pytest

from tools.debian import wanted
from tools.debian.errors import LockError

SUITE = '[[suite]]\nname = "stable"\narchive = "debian"\n'
TEXT = f"""
{SUITE}
[groups.base.packages]
bash = ""
dash = "/bin/sh"
[groups.base.omit]
dpkg = "none"
[sets.image]
groups = ["base"]
[sets.image.packages]
curl = "fetches"
[sets.docker]
on = "image"
[sets.docker.packages]
"docker.io" = "engine"
[sets.docker.omit]
git = ""
[[drop]]
paths = ["usr/share/doc/*"]
reason = "documentation"
"""


def _load(tmp_path: Path, text: str) -> wanted.Wanted:
    path = tmp_path / "packages.toml"
    path.write_text(text)
    return wanted.load(path)


def test_sets_have_what_their_groups_have(tmp_path: Path) -> None:
    image, docker = _load(tmp_path, TEXT).sets
    assert (image.name, image.packages, image.omit) == (
        "image",
        ("bash", "curl", "dash"),
        ("dpkg",),
    )
    assert (docker.packages, docker.on) == (("docker.io",), "image")


def test_what_a_set_takes_as_given_holds_above_it(tmp_path: Path) -> None:
    assert _load(tmp_path, TEXT).sets[1].omit == ("dpkg", "git")


def test_reads_suites_and_drops(tmp_path: Path) -> None:
    read = _load(tmp_path, TEXT)
    assert read.suites == (wanted.Suite("stable", "debian"),)
    assert read.drop == (wanted.Drop(("usr/share/doc/*",), "documentation"),)


def test_an_edited_set_is_stale(tmp_path: Path) -> None:
    locked = {item.name: item.digest for item in _load(tmp_path, TEXT).sets}
    assert _load(tmp_path, TEXT).stale(locked) == ()
    assert _load(tmp_path, TEXT.replace("/bin/sh", "reason")).stale(locked) == ()
    assert _load(tmp_path, TEXT.replace("curl", "wget")).stale(locked) == ("image",)
    assert _load(tmp_path, TEXT).stale({**locked, "vm": "x"}) == ("vm",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[[suite]]", "[[suite", "cannot read"),
        ('name = "stable"', "", "field 'name' is missing"),
        ('"debian"', '"ubuntu"', "suite stable: archive is not one of"),
        ('curl = "fetches"', "curl = 1", "image: the reason of curl is not a text"),
        ('groups = ["base"]', 'groups = ["basic"]', "set image: there is no group basic"),
        ('groups = ["base"]', 'groups = "base"', "set image: groups is not a list"),
        ('on = "image"', 'on = "images"', "set docker: lies on unknown set 'images'"),
        ('on = "image"', 'over = "image"', "set docker: unknown key over"),
        ('reason = "documentation"', "", "field 'reason' is missing"),
    ],
)
def test_refuses_in_one_line(old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in TEXT
    with pytest.raises(LockError, match=message) as caught:
        _load(tmp_path, TEXT.replace(old, new, 1))
    assert "packages.toml" in caught.value.message
