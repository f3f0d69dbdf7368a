"""A tiny Kconfig tree with everything that makes symbols fail."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.kernel import config, explain, kconfig
from tools.kernel.errors import KconfigError, LostSymbols
from tools.kernel.fragment import Ask
from tools.kernel.kconfig import Tree
from tools.kernel.proof import Lost

KCONFIG = """\
mainmenu "Tiny"
cc-option = $(success,test $(1))

config NET
\tbool "Networking # not a comment"
\thelp
\t  config FAKE is text here.

\t  Still help.

if NET
menu "Devices"
\tdepends on PCI

config ENA   # an adapter
\ttristate "Elastic"
\tdepends on MSI && \\
\t\t!BIG_ENDIAN
\tselect DIMLIB
endmenu
source "drivers/Kconfig"
source "arch/$(SRCARCH)/Kconfig"
endif

config DIMLIB
\tbool

config BORN
\tdef_bool y

config HIDDEN
\tbool "Only for experts" if EXPERT

choice
\tprompt "Tick"
\tdefault HZ_250
config HZ_100
\tbool "100"
config HZ_250
\tbool "250"
endchoice
"""
DRIVERS = """\
config TWICE
\tbool "first"
\tdepends on A && B && C
config TWICE
\tbool "second"
\tdepends on N > 4
config NEEDS_CC
\tbool "flag"
\tdepends on $(cc-option,-mfoo) && PCI
"""


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    for name, text in (("drivers", DRIVERS), ("arch/x86", "config X86\n\tdef_bool y\n")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "Kconfig").write_text(text)
    return kconfig.load(tmp_path)


VALUES = config.parse("CONFIG_NET=y\nCONFIG_HZ_250=y\nCONFIG_BORN=y\nCONFIG_N=3\n")


@pytest.mark.parametrize(
    ("symbol", "value", "values", "why"),
    [
        pytest.param("TYPO", "y", {}, "Linux 6.12 has no such symbol", id="no symbol"),
        pytest.param("FAKE", "y", {}, "Linux 6.12 has no such symbol", id="text in help"),
        pytest.param(
            "ENA", "y", {}, "it needs PCI (now n) and MSI (now n) (Kconfig:15)", id="menu and own"
        ),
        pytest.param(
            "ENA",
            "y",
            {"PCI": "y", "MSI": "y", "BIG_ENDIAN": "y"},
            "it needs !BIG_ENDIAN (now BIG_ENDIAN is y) (Kconfig:15)",
            id="negated",
        ),
        pytest.param("ENA", "y", {"NET": "n", "PCI": "y", "MSI": "y"}, "it needs NET", id="if"),
        pytest.param(
            "TWICE", "y", {}, "it needs N>4 (now N is 3) (drivers/Kconfig:4)", id="nearest of two"
        ),
        pytest.param("NEEDS_CC", "y", {}, "it needs PCI (now n)", id="unknown is not blamed"),
        pytest.param("HIDDEN", "y", {}, "it needs EXPERT (now n)", id="prompt condition"),
        pytest.param(
            "DIMLIB", "y", {}, "it has no prompt: it is set by asking for ENA", id="selected only"
        ),
        pytest.param("HZ_100", "y", {}, "HZ_250 of the same choice is set", id="choice"),
        pytest.param("DIMLIB", "n", {"ENA": "y"}, "it is selected by ENA", id="forced on"),
        pytest.param("BORN", "n", {}, "it has no prompt: its default decides", id="default"),
        pytest.param("X86", "y", {}, "it has no prompt: its default decides", id="sourced by arch"),
    ],
)
def test_why(tree: Tree, symbol: str, value: str, values: dict[str, str], why: str) -> None:
    lost = Lost(Ask(symbol, value, "r", "net.config:7"), "n" if value == "y" else "y")
    line = explain.explain(lost, {**VALUES, **values}, tree, "6.12")
    assert line.startswith(f"net.config:7: CONFIG_{symbol}={value} became {lost.became}: ")
    assert why in line


def test_the_unexplained_still_says_what_happened(tree: Tree) -> None:
    lost = Lost(Ask("NET", "y", "r", "a.config:1"), "n")
    assert explain.explain(lost, {}, tree, "6.12") == "a.config:1: CONFIG_NET=y became n"


def test_all_losses_are_told_at_once(tree: Tree) -> None:
    losses = [Lost(Ask(name, "y", "r", "a:1"), "n") for name in ("TYPO", "TWICE")]
    error = explain.failure(losses, VALUES, tree, "6.12")
    assert isinstance(error, LostSymbols)
    lines = error.render().splitlines()
    assert [line.split()[0] for line in lines] == ["error:", "error:", "hint:"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text('source "gone/Kconfig"\n')
    with pytest.raises(KconfigError, match="gone/Kconfig"):
        kconfig.load(tmp_path)


def test_a_malformed_dependency_is_placed(tmp_path: Path) -> None:
    (tmp_path / "Kconfig").write_text("config A\n\tbool\n\tdepends on B &&\n")
    with pytest.raises(KconfigError, match="Kconfig:3"):
        kconfig.load(tmp_path)
