"""Compare two directories of artifacts by content."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tools.sandbox import Bind, Sandbox


@dataclass(frozen=True, slots=True)
class Comparison:
    """One artifact in both builds; a digest is empty where the artifact is missing."""

    path: str
    size: int
    first: str
    second: str

    @property
    def same(self) -> bool:
        """Whether both builds made it, bit for bit the same."""
        return self.first == self.second


def compare(first: Path, second: Path) -> tuple[Comparison, ...]:
    """Every file that either directory holds, sorted by path."""
    one, two = _digests(first), _digests(second)
    return tuple(
        Comparison(
            path,
            max(p.stat().st_size for p in (first / path, second / path) if p.exists()),
            one.get(path, ""),
            two.get(path, ""),
        )
        for path in sorted(one.keys() | two.keys())
    )


def explain(first: Path, second: Path, tree: Path, report: Path) -> str:
    """diffoscope's account of how two files differ, also written to `report`.

    `tree` is the tools tree that holds diffoscope; it runs in the sandbox.
    """
    box = Sandbox(tree, (Bind(first, "/first"), Bind(second, "/second")))
    argv = ["diffoscope", "--max-report-size=1000000", "--text=-", "/first", "/second"]
    done = box.run(argv, check=False)
    text = done.text or done.stderr.decode("utf-8", "replace")
    report.parent.mkdir(parents=True, exist_ok=True)
    report.write_text(text)
    return text


def _digests(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): _digest(path)
        for path in directory.rglob("*")
        if path.is_file()
    }


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
