from __future__ import annotations

import pytest

from tools.kernel import merge
from tools.kernel.errors import FragmentError
from tools.kernel.fragment import Fragment, parse


def layer(*texts: str, prefix: str = "f") -> tuple[Fragment, ...]:
    return tuple(parse(text, f"{prefix}{number}") for number, text in enumerate(texts, 1))


def test_symbols_come_sorted_whatever_the_order() -> None:
    asked = merge.merge([layer("CONFIG_B=y  # b", "CONFIG_A=1  # a")])
    assert merge.render(asked) == "CONFIG_A=1\nCONFIG_B=y\n"


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        pytest.param(
            ("CONFIG_A=y  # a", "\nCONFIG_A=n  # b"),
            "CONFIG_A is y at f1:1 and n at f2:2",
            id="files",
        ),
        pytest.param(
            ("CONFIG_A=1  # a\nCONFIG_A=2  # b",), "CONFIG_A is 1 at f1:1 and 2 at f1:2", id="lines"
        ),
        pytest.param(
            ("CONFIG_A=y  # a", "CONFIG_A=y  # a"), "said twice: f1:1 and f2:1", id="same value"
        ),
        pytest.param(
            ("override CONFIG_A=y  # a",), "f1:1: override of CONFIG_A replaces", id="none"
        ),
        pytest.param(
            ("CONFIG_A=n  # a", "override CONFIG_A=y  # b"),
            "CONFIG_A is n at f1:1",
            id="same layer",
        ),
    ],
)
def test_disagreement_names_both_places(texts: tuple[str, ...], says: str) -> None:
    with pytest.raises(FragmentError) as caught:
        merge.merge([layer(*texts)])
    assert says in caught.value.message


def test_a_later_layer_may_override() -> None:
    brand = layer("override CONFIG_A=y  # bare metal\nCONFIG_B=y  # new", prefix="brand")
    asked = merge.merge([layer("CONFIG_A=n  # no"), brand])
    assert {name: (ask.value, ask.place) for name, ask in asked.items()} == {
        "A": ("y", "brand1:1"),
        "B": ("y", "brand1:2"),
    }


@pytest.mark.parametrize(
    ("line", "says"),
    [
        pytest.param("CONFIG_A=y  # b", "say override in a later", id="no override"),
        pytest.param("CONFIG_A=n  # b", "said twice", id="repeats"),
        pytest.param("override CONFIG_A=n  # b", "changes nothing; f1:1", id="changes nothing"),
    ],
)
def test_a_later_layer_must_mean_it(line: str, says: str) -> None:
    with pytest.raises(FragmentError) as caught:
        merge.merge([layer("CONFIG_A=n  # a"), layer(line, prefix="brand")])
    assert says in caught.value.render()
