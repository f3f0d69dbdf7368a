"""What a step's program uses inside the sandbox.

    def build(step: Step) -> None:
        (step.out / "result").write_bytes(step.inputs["source"].read_bytes())

    if __name__ == "__main__":
        guest.main(build)

Standard library only: it runs under the Python of the tools tree.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.errors import StrakeError


@dataclass(frozen=True, slots=True)
class Step:
    """The inputs and the place for outputs of one step.

    Attributes:
        name: of the step, for messages.
        params: plain JSON values from the step's target.
        inputs: files and directories by name, read only.
        debs: package files by package name, read only.
        packages: the locked packages behind `debs`, each as in the lock (name, version, …).
        out: an empty directory; what is in it at the end is the step's output.
        build: an empty scratch directory on disk.
        epoch: seconds since 1970 that stand for "now" in every output.
        jobs: processors that may be used; must not influence the output.
    """

    name: str
    params: Mapping[str, Any]
    inputs: Mapping[str, Path]
    debs: Mapping[str, Path]
    packages: tuple[Mapping[str, Any], ...]
    out: Path
    build: Path
    epoch: int
    jobs: int


def load(root: Path = Path("/")) -> Step:
    """Read the description of the step that the driver left at /in/step.json."""
    raw = json.loads((root / "in/step.json").read_text())
    return Step(
        name=raw["name"],
        params=raw["params"],
        inputs={name: root / "in" / name for name in raw["inputs"]},
        debs={p["name"]: root / "debs" / f"{p['name']}.deb" for p in raw["packages"]},
        packages=tuple(raw["packages"]),
        out=root / "out",
        build=root / "build",
        epoch=raw["epoch"],
        jobs=int(os.environ.get("STRAKE_JOBS", "1")),
    )


def progress(text: str) -> None:
    """Tell the person who waits what happens now; one line, no secrets, no state."""
    print(text, flush=True)


def main(build: Callable[[Step], None]) -> None:
    """Run a step's program; an error a user can act upon becomes its two lines and status 1."""
    try:
        build(load())
    except StrakeError as error:
        sys.exit(error.render())
    except OSError as error:
        sys.exit(f"error: {error.filename or 'the step'}: {error.strerror}")
