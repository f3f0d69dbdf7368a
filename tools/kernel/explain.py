"""Why an asked-for symbol did not come true, in one line per symbol."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tools.kernel import expr
from tools.kernel.config import value_of
from tools.kernel.errors import LostSymbols
from tools.kernel.expr import Expr
from tools.kernel.kconfig import Definition, Tree
from tools.kernel.proof import Lost

_SHOWN = 3


def failure(
    lost: Iterable[Lost], config: Mapping[str, str], tree: Tree, version: str
) -> LostSymbols:
    """The error for symbols that did not survive. `lost` must not be empty."""
    lines = [explain(one, config, tree, version) for one in lost]
    return LostSymbols(
        "\nerror: ".join(lines),
        "mend the fragment: ask for what is missing, or drop the line",
    )


def explain(lost: Lost, config: Mapping[str, str], tree: Tree, version: str) -> str:
    """One line: symbol, place in the fragment, what it became, and why if that is known."""
    ask = lost.ask
    head = f"{ask.place}: CONFIG_{ask.symbol}={ask.value} became {lost.became}"
    why = _why(lost, config, tree, version)
    return f"{head}: {why}" if why else head


def _why(lost: Lost, config: Mapping[str, str], tree: Tree, version: str) -> str:
    symbol = lost.ask.symbol
    definitions = tree.definitions.get(symbol, ())
    if not definitions:
        return f"Linux {version} has no such symbol"
    if lost.ask.value == "n":
        return _forced(symbol, config, tree)
    return (
        _unmet(definitions, config)
        or _unprompted(definitions, tree)
        or _rival(definitions, config, tree)
    )


def _forced(symbol: str, config: Mapping[str, str], tree: Tree) -> str:
    """Who selects a symbol that should be off."""
    active = [
        select.selector
        for select in tree.selects.get(symbol, ())
        if value_of(config, select.selector) == "y"
        and (select.condition is None or expr.evaluate(select.condition, config) is not False)
    ]
    if active:
        return f"it is selected by {_some(active)}"
    if not any(definition.prompt for definition in tree.definitions[symbol]):
        return "it has no prompt: its default decides"
    return ""


def _unmet(definitions: tuple[Definition, ...], config: Mapping[str, str]) -> str:
    """What is missing, for the definition that lacks least; empty when one lacks nothing."""
    missing = [_missing(definition, config) for definition in definitions]
    if not all(missing):
        return ""
    least = min(missing, key=len)
    place = definitions[missing.index(least)].place
    return f"it needs {' and '.join(_shown(part, config) for part in least)} ({place})"


def _missing(definition: Definition, config: Mapping[str, str]) -> tuple[Expr, ...]:
    conditions = [*definition.depends]
    if definition.prompt_if is not None:
        conditions.append(definition.prompt_if)
    parts = (part for condition in conditions for part in expr.unmet(condition, config))
    return tuple(dict.fromkeys(parts))


def _shown(part: Expr, config: Mapping[str, str]) -> str:
    """An unmet part with the values of its symbols."""
    if isinstance(part, expr.Atom):
        return f"{part} (now {value_of(config, part.text)})"
    values = (f"{name} is {value_of(config, name)}" for name in dict.fromkeys(expr.symbols(part)))
    return f"{part} (now {', '.join(values)})"


def _unprompted(definitions: tuple[Definition, ...], tree: Tree) -> str:
    if any(definition.prompt for definition in definitions):
        return ""
    selectors = [select.selector for select in tree.selects.get(definitions[0].symbol, ())]
    place = definitions[0].place
    if not selectors:
        return f"it has no prompt: its default decides ({place})"
    return f"it has no prompt: it is set by asking for {_some(selectors, ' or ')} ({place})"


def _rival(definitions: tuple[Definition, ...], config: Mapping[str, str], tree: Tree) -> str:
    """The other member of a choice that won."""
    choices = {definition.choice for definition in definitions} - {None}
    rivals = [
        name
        for name, others in tree.definitions.items()
        if config.get(name) == "y" and any(other.choice in choices for other in others)
    ]
    return f"{rivals[0]} of the same choice is set" if rivals else ""


def _some(names: Iterable[str], joint: str = ", ") -> str:
    unique = list(dict.fromkeys(names))
    more = f"{joint}{len(unique) - _SHOWN} more" if len(unique) > _SHOWN else ""
    return joint.join(unique[:_SHOWN]) + more
