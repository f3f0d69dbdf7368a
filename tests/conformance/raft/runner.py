"""Replays traces and compares: `python -m tests.conformance.raft.runner DIR [DIR…]`.

Every `.txt` below the directories is run. Log lines (DEBUG, INFO, WARN, ERROR, FATAL) are not
compared: their wording belongs to each implementation. Exit code 1 when anything differs.
"""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from services.etcd.raft.errors import InvariantError
from tests.conformance.raft import algebra, commands
from tests.conformance.raft.cluster import Cluster
from tests.conformance.raft.datadriven import Case, parse

_LOG_LINE = re.compile(r"\s*(DEBUG|INFO|WARN|ERROR|FATAL)\b")


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A command that printed something else than was recorded."""

    path: Path
    case: Case
    actual: str

    def __str__(self) -> str:
        expected, actual = comparable(self.case.expected), comparable(self.actual)
        diff = difflib.unified_diff(expected, actual, "recorded", "here", lineterm="", n=2)
        head = f"{self.path}:{self.case.line}: {self.case.command}"
        return "\n".join([head, *("    " + line for line in diff)])


def comparable(text: str) -> list[str]:
    """The lines that count; `ok` only says that there are none."""
    lines = [line.rstrip() for line in text.splitlines() if not _LOG_LINE.match(line)]
    while lines and not lines[-1]:
        lines.pop()
    return [] if lines == ["ok"] else lines


def traces_below(directory: Path) -> list[Path]:
    """Every trace in a directory, in order of names."""
    return sorted(path for path in directory.rglob("*.txt") if path.is_file())


def run_file(path: Path) -> list[Mismatch]:
    """Replay one trace on a fresh cluster. Raises ValueError for what is not a trace."""
    cases = list(parse(path.read_text(encoding="utf-8")))
    execute = _interpreter(cases)
    mismatches = []
    for case in cases:
        try:
            actual = execute(case)
        except InvariantError as error:
            mismatches.append(Mismatch(path, case, f"stopped: {error.message}"))
            break
        if comparable(actual) != comparable(case.expected):
            mismatches.append(Mismatch(path, case, actual))
    return mismatches


def _interpreter(cases: list[Case]) -> Callable[[Case], str]:
    used = {case.command for case in cases}
    if used and used <= algebra.QUORUM_COMMANDS:
        return algebra.quorum
    if used and used <= algebra.CHANGE_COMMANDS:
        return algebra.Changes().execute
    cluster = Cluster()
    return lambda case: commands.execute(cluster, case)


def main(arguments: Iterable[str]) -> int:
    """Run all traces below the directories given; the exit code."""
    paths = [path for word in arguments for path in traces_below(Path(word))]
    if not paths:
        print("error: no traces found\nhint: name a directory that holds .txt files")
        return 2
    failed = 0
    for path in paths:
        mismatches = run_file(path)
        failed += bool(mismatches)
        print("ok  " if not mismatches else "FAIL", path)
        for mismatch in mismatches:
            print(mismatch)
    print(f"{len(paths) - failed} of {len(paths)} traces pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
