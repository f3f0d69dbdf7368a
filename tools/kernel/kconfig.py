"""Read the Kconfig files of a kernel source: just enough to explain a symbol.

Kept of each symbol: where it is defined, whether it has a prompt, what it depends on
(its own lines and every menu, `if` and choice around it), and who selects it. Defaults,
ranges and help texts are skipped; macros stay unevaluated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.kernel import expr
from tools.kernel.errors import KconfigError
from tools.kernel.expr import Expr

_TYPES = ("bool", "tristate", "int", "hex", "string", "prompt")
_PROMPT = re.compile(r"(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')(?:\s+if\s+(?P<cond>.*))?")
_OPENERS = ("menu", "choice", "if")
_IGNORED = ("mainmenu", "comment")


@dataclass(slots=True)
class Definition:
    """One `config` block of a symbol; a symbol may have several.

    `depends` are expressions that must all hold; `prompt` is whether a person can set it,
    `prompt_if` when; `choice` numbers the choice it belongs to.
    """

    symbol: str
    place: str
    depends: list[Expr] = field(default_factory=list)
    prompt: bool = False
    prompt_if: Expr | None = None
    choice: int | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """`selector` forces a symbol to y, when `condition` holds."""

    selector: str
    condition: Expr | None


@dataclass(frozen=True, slots=True)
class Tree:
    """All symbols of a kernel source."""

    definitions: Mapping[str, tuple[Definition, ...]]
    selects: Mapping[str, tuple[Select, ...]]


def load(root: Path, arch: str = "x86") -> Tree:
    """Read the tree below `root/Kconfig`.

    Raises:
        KconfigError: a file is missing or an expression malformed.
    """
    reader = _Reader(root, arch)
    reader.file("Kconfig")
    return Tree(
        {name: tuple(found) for name, found in reader.definitions.items()},
        {name: tuple(found) for name, found in reader.selects.items()},
    )


@dataclass(slots=True)
class _Scope:
    """A menu, `if` or choice around definitions."""

    kind: str
    depends: list[Expr] = field(default_factory=list)
    choice: int | None = None


class _Reader:
    """Walks the files in the order Kconfig does."""

    def __init__(self, root: Path, arch: str) -> None:
        self._root, self._arch = root, arch
        self.definitions: dict[str, list[Definition]] = {}
        self.selects: dict[str, list[Select]] = {}
        self._scopes: list[_Scope] = []
        self._current: Definition | _Scope | None = None
        self._choices = 0

    def file(self, name: str) -> None:
        try:
            text = (self._root / name).read_text("utf-8", "replace")
        except OSError as error:
            raise KconfigError(f"{name}: {error.strerror}") from error
        for number, line in _statements(text):
            try:
                self._statement(line, f"{name}:{number}")
            except KconfigError as error:
                raise KconfigError(f"{name}:{number}: {error.message}") from error

    def _statement(self, line: str, place: str) -> None:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word in ("config", "menuconfig"):
            self._define(rest, place)
        elif word in _OPENERS:
            self._open(word, rest)
        elif word in ("endmenu", "endchoice", "endif"):
            if self._scopes:
                self._scopes.pop()
            self._current = None
        elif word == "source":
            self.file(rest.strip("\"'").replace("$(SRCARCH)", self._arch))
        elif word in _IGNORED:
            self._current = None
        else:
            self._attribute(word, rest)

    def _define(self, symbol: str, place: str) -> None:
        around = [condition for scope in self._scopes for condition in scope.depends]
        choice = next((s.choice for s in reversed(self._scopes) if s.kind == "choice"), None)
        definition = Definition(symbol, place, around, choice=choice)
        self.definitions.setdefault(symbol, []).append(definition)
        self._current = definition

    def _open(self, word: str, rest: str) -> None:
        scope = _Scope(word)
        if word == "if":
            scope.depends.append(expr.parse(rest))
        if word == "choice":
            self._choices += 1
            scope.choice = self._choices
        self._scopes.append(scope)
        self._current = scope

    def _attribute(self, word: str, rest: str) -> None:
        current = self._current
        if current is not None and word == "depends" and rest.startswith("on "):
            current.depends.append(expr.parse(rest[3:]))
        elif isinstance(current, Definition) and word in _TYPES:
            self._prompt(current, rest)
        elif isinstance(current, Definition) and word == "select":
            target, condition = _conditional(rest)
            self.selects.setdefault(target, []).append(Select(current.symbol, condition))

    @staticmethod
    def _prompt(definition: Definition, rest: str) -> None:
        match = _PROMPT.fullmatch(rest)
        if match:
            definition.prompt = True
            definition.prompt_if = expr.parse(match["cond"]) if match["cond"] else None


def _conditional(rest: str) -> tuple[str, Expr | None]:
    target, _, condition = rest.partition(" if ")
    return target.strip(), expr.parse(condition) if condition else None


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Numbered logical lines without comments, help texts and continuation marks."""
    skip: Callable[[str], bool] | None = None
    pending, start = "", 0
    for number, raw in enumerate(text.expandtabs(8).split("\n"), 1):
        if skip is not None and skip(raw):
            continue
        skip = None
        line = _without_comment(raw) if not pending else raw
        start = start if pending else number
        pending += line.rstrip().removesuffix("\\") + " "
        if line.rstrip().endswith("\\"):
            continue
        statement, pending = " ".join(pending.split()), ""
        if statement in ("help", "---help---"):
            skip = _help_skipper()
        elif statement:
            yield start, statement


def _help_skipper() -> Callable[[str], bool]:
    """True for the lines of a help text: as deep as its first line, or blank."""
    indent: int | None = None

    def skip(raw: str) -> bool:
        nonlocal indent
        if not raw.strip():
            return True
        depth = len(raw) - len(raw.lstrip())
        if indent is None:
            indent = depth
            return depth > 0
        return depth >= indent and indent > 0

    return skip


def _without_comment(line: str) -> str:
    quote = ""
    for index, char in enumerate(line):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index]
    return line
