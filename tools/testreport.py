"""Sums up the JUnit reports of a test run: `python -m tools.testreport [DIRECTORY]`.

Pants reports per file; this prints the slowest files and, as the last line, how many tests
passed, failed and were skipped. The exit status is 1 when a test failed or none ran.
"""

from __future__ import annotations

import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.errors import StrakeError

REPORTS = Path("dist/test/reports")
_SLOWEST = 5


class ReportError(StrakeError):
    """A report cannot be read."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Tests by outcome, and the seconds they took together; an error counts as a failure."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.seconds + other.seconds,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def parse(text: str) -> Counts:
    """The counts of one report, with one suite or a list of suites.

    Raises:
        ValueError: it is not such a report.
    """
    try:
        root = ET.fromstring(text)
    except ET.ParseError as error:
        raise ValueError(f"not XML: {error}") from error
    return sum((_suite(suite) for suite in root.iter("testsuite")), Counts())


def _suite(suite: ET.Element) -> Counts:
    number = {key: int(suite.get(key, "0")) for key in ("tests", "failures", "errors", "skipped")}
    failed = number["failures"] + number["errors"]
    passed = max(0, number["tests"] - failed - number["skipped"])
    return Counts(passed, failed, number["skipped"], float(suite.get("time", "0")))


def read(files: Iterable[Path]) -> dict[str, Counts]:
    """Counts by the name of the report.

    Raises:
        ReportError: a file is not a report.
    """
    found = {}
    for file in files:
        try:
            found[file.stem] = parse(file.read_text())
        except ValueError as error:
            raise ReportError(f"{file}: {error}", "run ./pants test again") from error
    return found


def main(argv: Sequence[str]) -> int:
    """The command; returns its exit status."""
    directory = Path(argv[0]) if argv else REPORTS
    reports = read(sorted(directory.glob("*.xml")))
    slowest = sorted(reports.items(), key=lambda item: -item[1].seconds)[:_SLOWEST]
    for name, counts in slowest:
        print(f"{counts.seconds:8.1f} s  {name}")
    total = sum(reports.values(), Counts())
    print(total)
    return int(total.failed > 0 or total.passed == 0)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except StrakeError as error:
        sys.exit(error.render())
