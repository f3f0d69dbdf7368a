"""One measured number beside the number it has to beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A measurement: lower is better. `limit` is None where none was promised."""

    name: str
    value: float
    unit: str
    limit: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the limit is kept; None without one."""
        return None if self.limit is None else self.value <= self.limit

    def as_dict(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "name": self.name,
            "value": round(self.value, 2),
            "unit": self.unit,
            "limit": self.limit,
            "met": self.met,
            "note": self.note,
        }


def table(rows: Sequence[Row]) -> str:
    """The rows as aligned text."""
    cells = [("what", "measured", "limit", "", "note")]
    for row in rows:
        limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
        verdict = {True: "ok", False: "OVER", None: ""}[row.met]
        cells.append((row.name, f"{row.value:.1f} {row.unit}", limit, verdict, row.note))
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    lines = []
    for name, measured, limit, verdict, note in cells:
        text = f"{name:<{widths[0]}}  {measured:>{widths[1]}}  {limit:>{widths[2]}}"
        lines.append(f"{text}  {verdict:<{widths[3]}}  {note}".rstrip())
    return "\n".join(lines)
