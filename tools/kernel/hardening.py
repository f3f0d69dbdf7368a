"""Recommendations for a hardened kernel, and our reasoned deviations from them.

The table (TOML) holds facts and reasons:

    [recommended.kspp]     who recommends
    VMAP_STACK = "y"       symbol and value; n means off or absent
    LSM = "*lockdown,yama*"  between asterisks: members that the value's list must have
    [deviations]
    SLUB_DEBUG = "why not"
    [elsewhere]            names that only the checker uses, and where they are dealt with
    KSTACK_ERASE = "GCC_PLUGIN_STACKLEAK in Linux 6.12"

A deviation without a reason is an error, and so is a listed one that no longer deviates.

    python3 -m tools.kernel.hardening hardening.toml CONFIG [--checker report.json]

checks a kernel's config; `--checker` takes the output of `kernel-hardening-checker -m
json` and reports what that tool finds and the table does not know.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.errors import StrakeError
from tools.kernel import config
from tools.kernel.errors import FragmentError, KernelError


@dataclass(frozen=True, slots=True)
class Hardening:
    """Recommended values, reasons for deviating, and other names, each by symbol."""

    recommended: Mapping[str, str]
    deviations: Mapping[str, str]
    elsewhere: Mapping[str, str]


def parse(text: str, name: str) -> Hardening:
    """Read the table.

    Raises:
        FragmentError: it is malformed, or a deviation has no reason.
    """
    try:
        raw = tomllib.loads(text)
        tables = raw.get("recommended", {})
        recommended = {str(s): str(v) for table in tables.values() for s, v in table.items()}
        deviations = {str(s): str(r) for s, r in raw.get("deviations", {}).items()}
        elsewhere = {str(s): str(r) for s, r in raw.get("elsewhere", {}).items()}
    except (tomllib.TOMLDecodeError, KeyError, AttributeError) as error:
        raise FragmentError(f"{name}: not a table of recommendations: {error}") from error
    if len(recommended) != sum(len(table) for table in tables.values()):
        raise FragmentError(f"{name}: a symbol is recommended twice")
    for symbol, reason in deviations.items():
        if not any(char.isalpha() for char in reason):
            raise FragmentError(f"{name}: deviation {symbol} has no reason")
    return Hardening(recommended, deviations, elsewhere)


def combine(tables: Iterable[Hardening]) -> Hardening:
    """One table of several: recommendations and deviations of all, the later ones winning."""
    recommended: dict[str, str] = {}
    deviations: dict[str, str] = {}
    elsewhere: dict[str, str] = {}
    for table in tables:
        recommended |= table.recommended
        deviations |= table.deviations
        elsewhere |= table.elsewhere
    return Hardening(recommended, deviations, elsewhere)


def deviating(table: Hardening, values: Mapping[str, str]) -> tuple[str, ...]:
    """Symbols whose value is not the recommended one, sorted."""
    return tuple(
        symbol
        for symbol, wanted in sorted(table.recommended.items())
        if not _follows(config.value_of(values, symbol), wanted)
    )


def problems(table: Hardening, values: Mapping[str, str]) -> Iterator[str]:
    """One line for each deviation that is not listed, or listed without deviating."""
    found = deviating(table, values)
    for symbol in found:
        if symbol not in table.deviations:
            wanted, value = table.recommended[symbol], config.value_of(values, symbol)
            yield f"CONFIG_{symbol} is {value}, {wanted} is recommended, and no reason is given"
    for symbol in sorted(set(table.deviations) - set(found)):
        yield f"CONFIG_{symbol} is as recommended; drop its deviation"


def unknown_to(table: Hardening, report: str) -> Iterator[str]:
    """What kernel-hardening-checker's JSON calls a failure and no deviation names.

    Raises:
        KernelError: the text is not such a report.
    """
    try:
        rows = json.loads(report)
        failed = [
            str(row["option_name"]).removeprefix("CONFIG_")
            for row in rows
            if row["type"] == "kconfig" and str(row["check_result"]).startswith("FAIL")
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise KernelError(f"not a report of kernel-hardening-checker: {error!r}") from error
    for symbol in sorted(set(failed) - set(table.deviations) - set(table.elsewhere)):
        if symbol in table.recommended:
            yield f"CONFIG_{symbol} fails kernel-hardening-checker and deviates without a reason"
        else:
            yield f"CONFIG_{symbol} fails kernel-hardening-checker and is not in the table"


def _follows(value: str, wanted: str) -> bool:
    if len(wanted) > 2 and wanted.startswith("*") and wanted.endswith("*"):
        return set(wanted.strip("*").split(",")) <= set(value.strip('"').split(","))
    return value == wanted


def main(argv: Sequence[str]) -> int:
    """Check a config; status 1 and one line per problem when it deviates unexpectedly."""
    parser = argparse.ArgumentParser(prog="tools.kernel.hardening", description=__doc__)
    parser.add_argument("table", type=Path)
    parser.add_argument("config", type=Path)
    parser.add_argument("--checker", type=Path, metavar="JSON")
    options = parser.parse_args(argv)
    table = parse(options.table.read_text(), options.table.name)
    found = list(problems(table, config.parse(options.config.read_text())))
    if options.checker:
        found += unknown_to(table, options.checker.read_text())
    for line in found:
        print(f"error: {line}")
    followed = len(table.recommended) - len(table.deviations)
    print(f"{followed} recommendations followed, {len(table.deviations)} deviations explained")
    return 1 if found else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except StrakeError as error:
        sys.exit(error.render())
    except OSError as error:
        sys.exit(f"error: {error.filename}: {error.strerror}")
