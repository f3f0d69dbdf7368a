from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tools.proc import run
from tools.reproduce import VARIATIONS, Comparison, compare
from tools.reproduce._build import Variation, _command, copy_tree


def variation(**changes: object) -> Variation:
    fields = {name: getattr(VARIATIONS[1], name) for name in Variation.__slots__}
    return Variation(**{**fields, **changes})


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def tree_with_probe(tmp_path: Path) -> Path:
    """A tree whose `pants` prints what surrounds it instead of building."""
    tree = tmp_path / "tree"
    tree.mkdir()
    probe = tree / "pants"
    probe.write_text(
        "#!/bin/sh\n"
        "umask; id -u; uname -n; nproc; pwd; echo $TZ $LC_ALL $HOME $XDG_CACHE_HOME; touch made\n"
    )
    probe.chmod(0o755)
    return tree


def test_the_second_build_differs_in_everything_named(tmp_path: Path) -> None:
    tree = tree_with_probe(tmp_path)
    command = _command("some:target", VARIATIONS[1], tree, tmp_path / "base")
    umask, uid, host, cpus, cwd, env = run(command).text.splitlines()
    assert (umask, uid, host, cpus) == ("0077", "4321", "elsewhere.example", "1")
    assert cwd == str(tree)
    base = tmp_path / "base"
    assert env == f"Pacific/Kiritimati tr_TR.UTF-8 {base}/home {base}/cache"
    assert (tree / "made").stat().st_uid == os.geteuid()


def test_the_builds_differ_from_each_other() -> None:
    first, second = VARIATIONS
    for name in ("directory", "umask", "timezone", "locale", "hostname", "uid", "cpus"):
        assert getattr(first, name) != getattr(second, name), name


def test_nothing_of_the_callers_environment_leaks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CFLAGS", "-O0")
    monkeypatch.setenv("PIP_INDEX_URL", "file:///index")
    command = _command("some:target", VARIATIONS[0], tree_with_probe(tmp_path), tmp_path / "base")
    env = json.loads(command[-1])["env"]
    assert "CFLAGS" not in env
    assert env["PIP_INDEX_URL"] == "file:///index"


def test_copy_takes_the_work_tree_as_git_sees_it(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "sub").mkdir(parents=True)
    for name, text in {".gitignore": "*.o\n", "sub/kept": "1", "junk.o": "2", "gone": "3"}.items():
        (root / name).write_text(text)
    (root / "link").symlink_to("sub/kept")
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    run([*git, "init", "-q"])
    run([*git, "add", "."])
    (root / "gone").unlink()
    (root / "new").write_text("4")
    copy_tree(root, tmp_path / "copy")
    copied = {str(p.relative_to(tmp_path / "copy")) for p in (tmp_path / "copy").rglob("*")}
    assert copied == {".gitignore", "sub", "sub/kept", "link", "new"}


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        pytest.param({"f": b"x"}, {"f": b"x"}, True, id="identical"),
        pytest.param({"f": b"x"}, {"f": b"y"}, False, id="content"),
        pytest.param({"f": b"x"}, {}, False, id="missing-in-second"),
        pytest.param({}, {"f": b"x"}, False, id="missing-in-first"),
        pytest.param({"f": b""}, {}, False, id="empty-file-is-not-missing"),
    ],
)
def test_compare(
    tmp_path: Path, first: dict[str, bytes], second: dict[str, bytes], same: bool
) -> None:
    for name, files in (("one", first), ("two", second)):
        (tmp_path / name).mkdir()
        for path, data in files.items():
            (tmp_path / name / path).write_bytes(data)
    (row,) = compare(tmp_path / "one", tmp_path / "two")
    assert isinstance(row, Comparison)
    assert (row.path, row.same) == ("f", same)
