from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.kernel import expr
from tools.kernel.errors import KconfigError
from tools.kernel.expr import And, Atom, Compare, Expr, Not, Or

VALUES = {"A": "y", "B": "n", "N": "8", "S": '"text"'}


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("A", True),
        ("B", False),
        ("MISSING", False),
        ("y", True),
        ("n", False),
        ("!B", True),
        ("!(A && B)", True),
        ("A && B || A", True),
        ("A && (B || A)", True),
        ("B || A && B", False),
        ("N >= 8", True),
        ("N<8", False),
        ("N > 0x7", True),
        ("N=8", True),
        ("A != n", True),
        ('S = "text"', True),
        ("B=n", True),
        ("$(cc-option,-mfoo)", None),
        ('!$(success,test -n "$(x)")', None),
        ("$(a) && B", False),
        ("$(a) || A", True),
        ("$(a) && A", None),
        ('$(a) = "y"', None),
        ("S > 3", None),
    ],
)
def test_truth(text: str, truth: bool | None) -> None:
    assert expr.evaluate(expr.parse(text), VALUES) is truth


@pytest.mark.parametrize("text", ["", "A &&", "(A", "A B", "&& A", "A = ", "$(a", "A @ B", "!"])
def test_malformed(text: str) -> None:
    with pytest.raises(KconfigError):
        expr.parse(text)


def test_unmet_are_the_false_parts_of_a_conjunction() -> None:
    parsed = expr.parse("A && B && (B || MISSING) && $(cc) && N > 9")
    assert [str(part) for part in expr.unmet(parsed, VALUES)] == ["B", "B || MISSING", "N>9"]


def test_symbols_leave_out_constants() -> None:
    parsed = expr.parse('A && !B || N >= 8 && S = "text" && $(cc) && y')
    assert list(expr.symbols(parsed)) == ["A", "B", "N", "S"]


def exprs() -> st.SearchStrategy[Expr]:
    atoms = st.sampled_from(["A", "B", "N", "y", "$(m,(x))"]).map(Atom)
    operators = st.sampled_from(["=", "!=", "<", ">="])
    leaves: st.SearchStrategy[Expr] = atoms | st.builds(Compare, atoms, operators, atoms)
    return st.recursive(
        leaves,
        lambda inner: st.builds(Not, inner)
        | st.builds(And, inner, inner)
        | st.builds(Or, inner, inner),
        max_leaves=12,
    )


@given(exprs())
def test_shown_expressions_mean_the_same(tree: Expr) -> None:
    again = expr.parse(str(tree))
    assert expr.evaluate(again, VALUES) == expr.evaluate(tree, VALUES)
    assert str(again) == str(tree)
