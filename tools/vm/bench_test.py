from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from tools.vm import bench
from tools.vm.check import BootReport
from tools.vm.launch import Options
from tools.vm.programs import Programs

GOOD = BootReport("1", "uefi", "tcg", "10", 512, 2, login=12.0, memory_available=440.0)


def measured(
    monkeypatch: pytest.MonkeyPatch, directory: Path, reports: list[BootReport]
) -> dict[str, tuple[float, bool | None]]:
    queue = iter(reports)

    def boot(_directory: Path, options: Options, *_rest: Any, **_named: Any) -> BootReport:
        return dataclasses.replace(next(queue), memory=options.memory)

    monkeypatch.setattr(bench, "boot_check", boot)
    (directory / "disk.raw.zst").touch()
    (directory / "root.slot").write_bytes(bytes(1_000_000))
    found = bench.rows(directory, Programs(Path("/")), 2)
    return {row.name: (row.value, row.met) for row in found}


def test_all_numbers_are_measured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    slower = dataclasses.replace(GOOD, login=16.0, memory_available=430.0)
    assert measured(monkeypatch, tmp_path, [GOOD, slower, GOOD, GOOD, GOOD, GOOD]) == {
        "login after power-on, UEFI": (14.0, False),
        "512 MB minus available, UEFI": (77.0, True),
        "problems, UEFI": (0.0, True),
        "login after power-on, direct kernel": (12.0, None),
        "512 MB minus available, direct kernel": (72.0, None),
        "problems, direct kernel": (0.0, True),
        "problems when started in 96 MiB, direct kernel": (0.0, True),
        "problems when started in 128 MiB, UEFI": (0.0, True),
        "root slot": (1.0, True),
    }


def test_a_boot_that_fails_is_a_row_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bad = dataclasses.replace(GOOD, login=None, memory_available=None, problems=("panic",))
    found = measured(monkeypatch, tmp_path, [bad, bad, GOOD, GOOD, bad, GOOD])
    assert "login after power-on, UEFI" not in found
    assert found["problems, UEFI"] == (1.0, False)
    assert found["problems when started in 96 MiB, direct kernel"] == (1.0, False)
