from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.kernel import config, proof
from tools.kernel.fragment import Ask

TEXT = """\
# Automatically generated file; DO NOT EDIT.
CONFIG_VETH=y
CONFIG_NR_CPUS=256
CONFIG_MASK=0x1B6
CONFIG_LSM="landlock,yama"
# CONFIG_KEXEC is not set
"""


def ask(symbol: str, value: str) -> Ask:
    return Ask(symbol, value, "why", "f:1")


@pytest.mark.parametrize(
    ("symbol", "value", "became"),
    [
        pytest.param("VETH", "y", None, id="on"),
        pytest.param("NR_CPUS", "256", None, id="number"),
        pytest.param("MASK", "0x1b6", None, id="hex by value"),
        pytest.param("LSM", '"landlock,yama"', None, id="string"),
        pytest.param("KEXEC", "n", None, id="off"),
        pytest.param("GONE", "n", None, id="absent is off"),
        pytest.param("VETH", "n", "y", id="selected"),
        pytest.param("KEXEC", "y", "n", id="off instead"),
        pytest.param("GONE", "y", "n", id="absent instead"),
        pytest.param("NR_CPUS", "64", "256", id="other number"),
        pytest.param("LSM", '"yama"', '"landlock,yama"', id="other string"),
    ],
)
def test_survival(symbol: str, value: str, became: str | None) -> None:
    found = proof.lost([ask(symbol, value)], config.parse(TEXT))
    assert [one.became for one in found] == ([] if became is None else [became])


def test_an_ask_for_n_must_name_a_symbol() -> None:
    asks = [ask("KEXEC", "n"), ask("KEXCE", "n"), ask("TYPO", "y")]
    assert [one.ask.symbol for one in proof.nameless(asks, {"KEXEC"})] == ["KEXCE"]


@given(st.dictionaries(st.from_regex(r"[A-Z0-9_]+", fullmatch=True), st.integers().map(str)))
def test_parse_reads_what_kconfig_writes(values: dict[str, str]) -> None:
    assert config.parse("".join(f"CONFIG_{k}={v}\n" for k, v in values.items())) == values
