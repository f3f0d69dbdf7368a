"""The tables of recommendations and needs: their rules, and our own ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.kernel import fragment, hardening, merge, needs
from tools.kernel.errors import FragmentError, KernelError

OS_KERNEL = Path(__file__).resolve().parents[2] / "os/kernel"
TABLE = """
[recommended.a]
VMAP_STACK = "y"
KEXEC = "n"
LSM = "*lockdown,yama*"
[deviations]
KFENCE = "memory"
[recommended.b]
KFENCE = "y"
"""
GOOD = {"VMAP_STACK": "y", "LSM": '"landlock,lockdown,yama"'}


def asked_values() -> dict[str, str]:
    asked = merge.merge([fragment.load_directory(OS_KERNEL / "fragments")])
    return {symbol: ask.value for symbol, ask in asked.items()}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({}, [], id="as recommended"),
        pytest.param({"VMAP_STACK": "n"}, ["CONFIG_VMAP_STACK is n, y is"], id="deviates"),
        pytest.param({"KEXEC": "y"}, ["CONFIG_KEXEC is y, n is"], id="on instead of off"),
        pytest.param({"LSM": '"yama"'}, ["CONFIG_LSM is"], id="member missing"),
        pytest.param({"KFENCE": "y"}, ["drop its deviation"], id="deviates no longer"),
    ],
)
def test_deviations(values: dict[str, str], says: list[str]) -> None:
    table = hardening.parse(TABLE, "t")
    found = list(hardening.problems(table, {**GOOD, **values}))
    assert len(found) == len(says)
    assert all(part in line for part, line in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('[deviations]\nA = ""\n', "deviation A has no reason", id="no reason"),
        pytest.param('[recommended.a]\nA="y"\n[recommended.b]\nA="n"\n', "twice", id="twice"),
        pytest.param("[recommended\n", "not a table", id="no TOML"),
        pytest.param('recommended = "x"\n', "not a table", id="wrong shape"),
    ],
)
def test_malformed_recommendations(text: str, says: str) -> None:
    with pytest.raises(FragmentError, match=says):
        hardening.parse(text, "t")


def test_a_later_table_adds_deviations() -> None:
    brand = hardening.parse('[deviations]\nKEXEC = "kdump"\n', "brand")
    table = hardening.combine([hardening.parse(TABLE, "t"), brand])
    assert not list(hardening.problems(table, {**GOOD, "KEXEC": "y"}))


def test_the_public_checkers_report_is_compared() -> None:
    rows = [
        {"option_name": f"CONFIG_{name}", "type": "kconfig", "check_result": result}
        for name, result in (("KFENCE", "FAIL: x"), ("NEW", "FAIL: y"), ("VMAP_STACK", "OK"))
    ]
    found = list(hardening.unknown_to(hardening.parse(TABLE, "t"), json.dumps(rows)))
    assert found == ["CONFIG_NEW fails kernel-hardening-checker and is not in the table"]


def test_a_report_that_is_none() -> None:
    with pytest.raises(KernelError, match="not a report"):
        hardening.unknown_to(hardening.parse(TABLE, "t"), '{"a": 1}').__next__()


def test_our_fragments_deviate_only_with_a_reason() -> None:
    table = hardening.parse((OS_KERNEL / "hardening.toml").read_text(), "hardening.toml")
    assert list(hardening.problems(table, asked_values())) == []


@pytest.mark.parametrize("path", sorted((OS_KERNEL / "needs").glob("*.toml")), ids=lambda p: p.stem)
def test_our_fragments_ask_for_what_others_need(path: Path) -> None:
    assert list(needs.problems(needs.parse(path.read_text(), path.name), asked_values())) == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        pytest.param({"A": "y", "E": "n"}, [], id="as needed"),
        pytest.param({}, ["somebody needs CONFIG_A"], id="missing"),
        pytest.param({"A": "y", "Z": "y"}, ["somebody wants without CONFIG_Z"], id="unwanted"),
        pytest.param({"A": "y", "E": "y"}, ["drop its exception"], id="exception not needed"),
    ],
)
def test_needs(values: dict[str, str], says: list[str]) -> None:
    text = 'about = "somebody"\nneed = ["A", "E"]\navoid = ["Z"]\n[except]\nE = "why"\n'
    found = list(needs.problems(needs.parse(text, "n"), values))
    assert len(found) == len(says)
    assert all(part in line for part, line in zip(says, found, strict=True))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param('need = ["A"]\n', "not a table", id="no about"),
        pytest.param('about = "x"\nneed = ["A"]\n[except]\nB = "why"\n', "in no list", id="stray"),
        pytest.param('about = "x"\nneed = ["A"]\n[except]\nA = " "\n', "no reason", id="no reason"),
        pytest.param("need = [", "not a table", id="no TOML"),
    ],
)
def test_malformed_needs(text: str, says: str) -> None:
    with pytest.raises(FragmentError, match=says):
        needs.parse(text, "n")
