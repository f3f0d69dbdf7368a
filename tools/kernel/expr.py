"""Kconfig's dependency expressions, evaluated in three-valued logic.

Grammar: `||` binds weakest, then `&&`, then `!`; comparisons are between symbols or
quoted constants. A symbol counts as true when it is y or m. What only a compiler or a
shell could tell, such as `$(cc-option,-mfoo)`, is unknown: neither true nor false.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from tools.kernel.errors import KconfigError

Truth = bool | None
"""True, False, or None for unknown."""

_TOKEN = re.compile(r"\s*(&&|\|\||!=|<=|>=|[!=<>()]|\"[^\"]*\"|'[^']*'|[A-Za-z0-9_\-./]+)")


@dataclass(frozen=True, slots=True)
class Atom:
    """A symbol, a constant (kept with its quotes), or a macro call (starts with `$(`)."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Not:
    """`!operand`"""

    operand: Expr

    def __str__(self) -> str:
        inner = f"({self.operand})" if isinstance(self.operand, And | Or) else f"{self.operand}"
        return f"!{inner}"


@dataclass(frozen=True, slots=True)
class Compare:
    """`left operator right`"""

    left: Atom
    operator: str
    right: Atom

    def __str__(self) -> str:
        return f"{self.left}{self.operator}{self.right}"


@dataclass(frozen=True, slots=True)
class And:
    """`left && right`"""

    left: Expr
    right: Expr

    def __str__(self) -> str:
        return " && ".join(
            f"({e})" if isinstance(e, Or) else f"{e}" for e in (self.left, self.right)
        )


@dataclass(frozen=True, slots=True)
class Or:
    """`left || right`"""

    left: Expr
    right: Expr

    def __str__(self) -> str:
        return f"{self.left} || {self.right}"


Expr = Atom | Not | Compare | And | Or


def parse(text: str) -> Expr:
    """Read an expression. Raises KconfigError when it is malformed."""
    parser = _Parser(tuple(_tokens(text)), text)
    return parser.whole()


def evaluate(expr: Expr, config: Mapping[str, str]) -> Truth:
    """Whether an expression holds under a configuration."""
    match expr:
        case Atom(text):
            return _atom_truth(text, config)
        case Not(operand):
            inner = evaluate(operand, config)
            return None if inner is None else not inner
        case And(left, right):
            return _join(evaluate(left, config), evaluate(right, config), False)
        case Or(left, right):
            return _join(evaluate(left, config), evaluate(right, config), True)
        case Compare(left, operator, right):
            return _compare(
                _atom_value(left.text, config),
                operator,
                _atom_value(right.text, config),
            )


def unmet(expr: Expr, config: Mapping[str, str]) -> tuple[Expr, ...]:
    """The parts joined by `&&` that do not hold."""
    if isinstance(expr, And):
        return unmet(expr.left, config) + unmet(expr.right, config)
    return (expr,) if evaluate(expr, config) is False else ()


def symbols(expr: Expr) -> Iterator[str]:
    """The symbols an expression names, each time it does."""
    match expr:
        case Atom(text):
            if _is_symbol(text):
                yield text
        case Not(operand):
            yield from symbols(operand)
        case Compare(left, _, right) | And(left, right) | Or(left, right):
            yield from symbols(left)
            yield from symbols(right)


def _is_symbol(text: str) -> bool:
    return text not in ("y", "n", "m") and not re.match(r"[\"'$]|-?\d+$|0x[0-9a-fA-F]+$", text)


def _atom_truth(text: str, config: Mapping[str, str]) -> Truth:
    value = _atom_value(text, config)
    return None if value is None else value in ("y", "m")


def _atom_value(text: str, config: Mapping[str, str]) -> str | None:
    if text.startswith("$"):
        return None
    if not _is_symbol(text):
        return text.strip("\"'")
    return config.get(text, "n").strip('"')


def _join(left: Truth, right: Truth, winner: bool) -> Truth:
    """`or` when True wins, `and` when False wins."""
    if winner in (left, right):
        return winner
    return None if None in (left, right) else not winner


def _compare(left: str | None, operator: str, right: str | None) -> Truth:
    if left is None or right is None:
        return None
    if operator in ("=", "!="):
        return (left == right) is (operator == "=")
    try:
        first, second = int(left, 0), int(right, 0)
    except ValueError:
        return None
    orders: Mapping[str, Callable[[int, int], bool]] = {
        "<": int.__lt__,
        "<=": int.__le__,
        ">": int.__gt__,
        ">=": int.__ge__,
    }
    return orders[operator](first, second)


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while text[position:].strip():
        if text[position:].lstrip().startswith("$"):
            start = position + len(text[position:]) - len(text[position:].lstrip())
            position = _macro_end(text, start)
            yield text[start:position]
            continue
        match = _TOKEN.match(text, position)
        if not match:
            raise KconfigError(f"not an expression: {text}")
        position = match.end()
        yield match[1]


def _macro_end(text: str, start: int) -> int:
    """Where `$(…)` or `$NAME` ends, with nested parentheses."""
    if text[start : start + 2] != "$(":
        match = re.compile(r"\$[A-Za-z0-9_]+").match(text, start)
        if not match:
            raise KconfigError(f"not an expression: {text}")
        return match.end()
    depth = 0
    for index in range(start + 1, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
    raise KconfigError(f"a parenthesis is not closed: {text}")


class _Parser:
    """Recursive descent over the tokens of one expression."""

    def __init__(self, tokens: tuple[str, ...], text: str) -> None:
        self._tokens, self._text, self._at = tokens, text, 0

    def whole(self) -> Expr:
        expr = self._or()
        if self._at != len(self._tokens):
            raise self._error()
        return expr

    def _or(self) -> Expr:
        expr = self._and()
        while self._take("||"):
            expr = Or(expr, self._and())
        return expr

    def _and(self) -> Expr:
        expr = self._unary()
        while self._take("&&"):
            expr = And(expr, self._unary())
        return expr

    def _unary(self) -> Expr:
        if self._take("!"):
            return Not(self._unary())
        if self._take("("):
            expr = self._or()
            if not self._take(")"):
                raise self._error()
            return expr
        left = self._atom()
        for operator in ("=", "!=", "<", "<=", ">", ">="):
            if self._take(operator):
                return Compare(left, operator, self._atom())
        return left

    def _atom(self) -> Atom:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] in "&|!=<>()":
            raise self._error()
        self._at += 1
        return Atom(self._tokens[self._at - 1])

    def _take(self, token: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at] == token
        self._at += found
        return found

    def _error(self) -> KconfigError:
        return KconfigError(f"not an expression: {self._text}")
