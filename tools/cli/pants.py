"""Run the build tool and follow the steps it runs.

Pants decides what has to run; a step that runs writes its progress to a log in the store
(`tools.sandbox.step`), which is followed here while Pants works.
"""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.errors import StrakeError
from tools.proc import ProgramFailed, run

FOLLOW_EVERY_S = 0.2

_RAISED = re.compile(r"\w*(Error|Exception|Failed|Failure)\w*: \S")
"""How the engine prints what a rule raised."""


class BuildError(StrakeError):
    """A build did not succeed; the message is the one of the step that failed."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line that a step printed: which step (`os.kernel-kernel`), and what it said."""

    step: str
    text: str


@dataclass(frozen=True, slots=True)
class Built:
    """What a build left below `dist/`."""

    artifacts: tuple[Path, ...]


class LogFollower(threading.Thread):
    """Reports lines that are added to the logs of steps until it is stopped."""

    def __init__(self, logs: Path, report: Callable[[Line], None]) -> None:
        super().__init__(daemon=True)
        self._logs = logs
        self._report = report
        self._stopped = threading.Event()
        self._seen = {path: _identity(path) for path in self._paths()}
        self._offsets = {path: path.stat().st_size for path in self._seen}

    def run(self) -> None:
        """Poll until stopped, then once more for what came last."""
        while not self._stopped.wait(FOLLOW_EVERY_S):
            self._poll()
        self._poll()

    def stop(self) -> None:
        """Report what is left, and end."""
        self._stopped.set()
        self.join()

    def _paths(self) -> list[Path]:
        return sorted(self._logs.glob("*.log"))

    def _poll(self) -> None:
        for path in self._paths():
            size = path.stat().st_size
            start = self._offsets.get(path, 0)
            if size < start or self._seen.get(path) != _identity(path):
                start = 0
            self._seen[path] = _identity(path)
            with path.open("rb") as file:
                file.seek(start)
                data = file.read()
            whole = data.rfind(b"\n") + 1
            self._offsets[path] = start + whole
            for raw in data[:whole].decode("utf-8", "replace").splitlines():
                self._report(Line(path.stem, raw.partition(" ")[2]))


def _identity(path: Path) -> int:
    return path.stat().st_ino


def package(
    target: str,
    root: Path,
    store: Path,
    report: Callable[[Line], None],
    *,
    env: Mapping[str, str] = os.environ,
    options: Sequence[str] = (),
) -> Built:
    """`./pants package TARGET`, with the progress of its steps.

    Raises:
        BuildError: a step failed, or Pants could not run it.
    """
    follower = LogFollower(store / "log", report)
    follower.start()
    words = [str(root / "pants"), "--no-dynamic-ui", "--no-colors", *options, "package", target]
    try:
        done = run(words, env=dict(env), cwd=root, end_with=signal.SIGINT)
    except ProgramFailed as failure:
        raise explain(target, failure.tail) from failure
    finally:
        follower.stop()
    said = done.stderr.decode("utf-8", "replace") + done.text
    return Built(
        tuple(root / path for path in dict.fromkeys(re.findall(r"Wrote (dist/\S+)", said)))
    )


def explain(target: str, said: str) -> BuildError:
    """The error of the failed step, found in what Pants printed; else Pants' own last words."""
    message, hint = "", ""
    for line in said.splitlines():
        if line.startswith("error: "):
            message, hint = line.removeprefix("error: "), ""
        elif line.startswith("hint: ") and message:
            hint = line.removeprefix("hint: ")
    if message:
        return BuildError(message, hint)
    words = [line.strip() for line in said.splitlines() if line.strip()]
    words = [line for line in words if "--print-stacktrace" not in line]
    reason = next((line for line in reversed(words) if _RAISED.match(line)), "")
    return BuildError(
        f"{target} could not be built: {reason or (words[-1] if words else 'no reason given')}",
        f"run ./pants package {target} to see all that was printed",
    )
