from __future__ import annotations

from pathlib import Path

import pytest

from tools.vm.errors import VmError
from tools.vm.programs import TREE_VARIABLE, Programs, locate


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in (
        "usr/bin/tool",
        "usr/sbin/mkfs",
        "usr/lib64/ld-linux-x86-64.so.2",
        "usr/share/x",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


def test_programs_run_through_the_trees_loader(tree: Path) -> None:
    argv = Programs(tree).argv("tool", "-x", Path("/in"))
    assert argv[:2] == (str(tree / "usr/lib64/ld-linux-x86-64.so.2"), "--inhibit-cache")
    assert argv[-5:] == ("--argv0", "tool", str(tree / "usr/bin/tool"), "-x", "/in")


def test_the_hosts_own_run_directly() -> None:
    programs = Programs(Path("/"))
    assert programs.argv("sh", "-c", "true")[1:] == ("-c", "true")
    assert not programs.env
    assert not programs.data_dirs


def test_sbin_counts(tree: Path) -> None:
    assert Programs(tree).argv("mkfs")[-1] == str(tree / "usr/sbin/mkfs")


def test_the_first_data_file_that_exists(tree: Path) -> None:
    assert Programs(tree).file("usr/share/none", "usr/share/x") == tree / "usr/share/x"


def test_what_is_missing_is_named(tree: Path) -> None:
    with pytest.raises(VmError, match="no program nothing in"):
        Programs(tree).argv("nothing")
    with pytest.raises(VmError, match="no a or b in"):
        Programs(tree).file("a", "b")
    (tree / "usr/lib64/ld-linux-x86-64.so.2").unlink()
    with pytest.raises(VmError, match="loader"):
        Programs(tree).argv("tool")


def test_a_tree_can_be_named(tree: Path) -> None:
    assert locate({TREE_VARIABLE: str(tree)}) == Programs(tree)
    with pytest.raises(VmError, match="no directory"):
        locate({TREE_VARIABLE: str(tree / "gone")})
