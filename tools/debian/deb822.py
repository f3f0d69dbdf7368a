"""The paragraphs of `Field: value` lines that Debian's indices are made of.

Field names compare without case and are kept in lower case. A value keeps its line
breaks; the one space that marks a continuation line is taken off, and so is the lone `.`
that stands for an empty line.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tools.debian.errors import DebianError

Stanza = Mapping[str, str]


class Deb822Error(DebianError):
    """A paragraph that does not follow deb822(5)."""


def parse(text: str) -> dict[str, str]:
    """One paragraph, without blank lines inside.

    Raises:
        Deb822Error: a line is neither a field, a continuation nor a comment, or a field
            is there twice.
    """
    fields: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in text.split("\n"):
        if line.startswith("#") or not line:
            continue
        if line[0] in " \t":
            if current is None:
                raise Deb822Error(f"continuation line before any field: {line.strip()!r}")
            current.append("" if line[1:] == "." else line[1:])
            continue
        name, colon, value = line.partition(":")
        key = name.lower()
        if not colon or not name or " " in name:
            raise Deb822Error(f"not a field: {line!r}")
        if key in fields:
            raise Deb822Error(f"field {name} is there twice")
        current = fields[key] = [value.strip()]
    return {key: "\n".join(lines) for key, lines in fields.items()}


def stanzas(text: str) -> Iterator[dict[str, str]]:
    """Every paragraph of a file. Raises Deb822Error as `parse` does."""
    for block in blocks(text):
        yield parse(block)


def blocks(text: str) -> Iterator[str]:
    """The text of every paragraph, unparsed: an index has tens of thousands of them."""
    lines: list[str] = []
    if "\r" not in text and "\n \n" not in text and "\n\t\n" not in text:
        yield from (block for block in text.split("\n\n") if _has_field(block))
        return
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.strip():
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines and _has_field("\n".join(lines)):
        yield "\n".join(lines)


def dump(fields: Mapping[str, str]) -> str:
    """A paragraph that `parse` reads back to the same fields."""
    lines = []
    for name, value in fields.items():
        first, *rest = value.split("\n")
        lines.append(f"{name}: {first}".rstrip())
        lines += [f" {line}" if line else " ." for line in rest]
    return "\n".join(lines) + "\n"


def _has_field(block: str) -> bool:
    return any(line and not line.startswith("#") for line in block.split("\n"))
