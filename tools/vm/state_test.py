from __future__ import annotations

from pathlib import Path

import pytest

from tools.vm.errors import NoSuchVm, VmError
from tools.vm.state import VmState, claim, names, publish, running

STATE = VmState("one", 42, 2222, "/k", "tcg", "/l")


def test_a_published_machine_is_found(tmp_path: Path) -> None:
    with claim(tmp_path, "one") as directory:
        publish(directory, STATE)
        assert running(tmp_path, "one") == STATE
        assert names(tmp_path) == ("one",)
        assert (STATE.login.port, STATE.login.key) == (2222, Path("/k"))


def test_afterwards_it_is_gone(tmp_path: Path) -> None:
    with claim(tmp_path, "one") as directory:
        publish(directory, STATE)
    with pytest.raises(NoSuchVm, match="no machine named one is running"):
        running(tmp_path, "one")
    assert names(tmp_path) == ()


def test_what_a_crash_left_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "lock").touch()
    publish(tmp_path / "one", STATE)
    with pytest.raises(NoSuchVm):
        running(tmp_path, "one")
    with claim(tmp_path, "one"), pytest.raises(NoSuchVm, match="only starting"):
        running(tmp_path, "one")


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    with claim(tmp_path, "one") as directory:
        publish(directory, STATE)
        with pytest.raises(VmError, match="already running"), claim(tmp_path, "one"):
            pass
        assert running(tmp_path, "one") == STATE
        with claim(tmp_path, "two"):
            pass


def test_never_started(tmp_path: Path) -> None:
    with pytest.raises(NoSuchVm) as caught:
        running(tmp_path / "none", "one")
    assert "strake boot" in caught.value.hint


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "x" * 64])
def test_bad_names(tmp_path: Path, name: str) -> None:
    with pytest.raises(VmError, match="no name"), claim(tmp_path, name):
        pass
