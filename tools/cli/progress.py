"""What a person sees while steps run: one line per step, with time and what is left.

How long a step takes is remembered from the last time it ran, in a small file in the cache;
without one only the elapsed time is shown.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tools.cli.pants import Line

_DONE = re.compile(r"done in [\d.]+ s")


class StepRow:
    """The state of one step that runs or ran."""

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.started = now
        self.ended: float | None = None
        self.said = ""

    def hear(self, text: str, now: float) -> None:
        """Take in a line the step printed."""
        if _DONE.fullmatch(text) or text.startswith("error: "):
            self.ended = now
        if not text.startswith("hint: "):
            self.said = text

    def seconds(self, now: float) -> float:
        """How long it has run."""
        return (self.ended or now) - self.started


class Durations:
    """How long each step took the last time, in seconds, kept between runs."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            raw = json.loads(path.read_text())
            self._known = {str(name): float(value) for name, value in raw.items()}
        except (OSError, ValueError, AttributeError, TypeError):
            self._known = {}

    def left(self, name: str, elapsed: float) -> float | None:
        """Seconds that are likely left, None when the step is new or overdue."""
        known = self._known.get(name)
        return known - elapsed if known is not None and known > elapsed else None

    def learn(self, name: str, seconds: float) -> None:
        """Remember how long a step took."""
        self._known[name] = round(seconds, 1)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(self._known, sort_keys=True))
        temporary.replace(self._path)


class Progress:
    """A live table on a terminal, plain lines elsewhere; use as a context manager."""

    def __init__(self, durations: Durations, console: Console | None = None) -> None:
        self._durations = durations
        self._console = console or Console(stderr=True)
        self._rows: dict[str, StepRow] = {}
        self._live: Live | None = None
        self._started = time.monotonic()

    def __enter__(self) -> Progress:
        if self._console.is_terminal:
            self._live = Live(
                get_renderable=self._table, console=self._console, refresh_per_second=4
            )
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def report(self, line: Line) -> None:
        """Take in one line of one step."""
        now = time.monotonic()
        row = self._rows.get(line.step)
        if row is None or row.ended is not None:
            row = self._rows[line.step] = StepRow(line.step, now)
        row.hear(line.text, now)
        if row.ended is not None and not row.said.startswith("error: "):
            self._durations.learn(row.name, row.seconds(now))
        if self._live is None:
            print(f"{now - self._started:7.1f} {shown(line.step)}: {line.text}", file=sys.stderr)

    @property
    def ran(self) -> int:
        """How many steps ran; all others came from the cache."""
        return len(self._rows)

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        if not self._rows:
            table.add_row(
                Text("…", "dim"), "looking for what has changed", _clock(now - self._started)
            )
        for row in self._rows.values():
            table.add_row(
                _mark(row), shown(row.name), _clock(row.seconds(now)), self._rest(row, now)
            )
        return table

    def _rest(self, row: StepRow, now: float) -> Text:
        left = None if row.ended else self._durations.left(row.name, row.seconds(now))
        text = f"about {_clock(left)} left  " if left else ""
        return Text(text, "cyan") + Text(row.said[:100], "dim")


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Say what goes on while something without steps of its own takes its time."""
    console = Console(stderr=True)
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        print(text, file=sys.stderr)
        yield


def shown(step: str) -> str:
    """A step's address as people write it: `os.kernel-kernel` is `os/kernel:kernel`."""
    folder, _, name = step.partition("-")
    return f"{folder.replace('.', '/')}:{name}" if name else step


def _mark(row: StepRow) -> Text:
    if row.ended is None:
        return Text("●", "yellow")
    return Text("✗", "red") if row.said.startswith("error: ") else Text("✓", "green")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d}"
