from __future__ import annotations

import pytest

from tools.pylock import Pin, PyLockError, Target, normalise, parse_report, render


def entry(name: str, version: str, sha256: str | None, tag: str = "any") -> dict[str, object]:
    archive = {"hashes": {"sha256": sha256}} if sha256 else {}
    return {
        "metadata": {"name": name, "version": version},
        "download_info": {"archive_info": archive, "url": f"file:///{name}-1-py3-none-{tag}.whl"},
    }


def test_report_gives_sorted_pins_with_normalised_names() -> None:
    report = {"install": [entry("Zope.Interface", "7", "bb", "linux"), entry("click", "8.5", "aa")]}
    assert parse_report(report) == (
        Pin("click", "8.5", "aa", universal=True),
        Pin("zope-interface", "7", "bb", universal=False),
    )


def test_report_entry_without_a_hash_is_refused() -> None:
    with pytest.raises(PyLockError, match="local did not come as a wheel"):
        parse_report({"install": [entry("local", "1", None)]})


def test_lock_merges_the_wheels_of_all_targets() -> None:
    pins = [Pin("b", "2", "22"), Pin("a", "1", "ff"), Pin("a", "1", "ee"), Pin("b", "2", "22")]
    assert render(pins) == (
        "a==1 \\\n    --hash=sha256:ee \\\n    --hash=sha256:ff\nb==2 \\\n    --hash=sha256:22\n"
    )


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        pytest.param("PyYAML", "pyyaml", id="case"),
        pytest.param("zope.interface", "zope-interface", id="dot"),
        pytest.param("a-_.b", "a-b", id="run of separators"),
    ],
)
def test_normalise(name: str, canonical: str) -> None:
    assert normalise(name) == canonical


def test_target_flags_name_interpreter_and_machine() -> None:
    flags = Target("3.13", "aarch64").pip_flags()
    assert flags[:4] == ["--python-version", "3.13", "--implementation", "cp"]
    assert "manylinux2014_aarch64" in flags
