"""The root of every error tree in `tools/` and `release/`.

An error that reaches the user is two lines: what went wrong and where, then what to do
about it. Packages derive a few children each; the command line prints them and exits 1.
"""

from __future__ import annotations


class StrakeError(Exception):
    """Something a user can understand and act upon.

    `message` says what happened and to which thing, in one line without a full stop;
    `hint` says what to do next, and may be empty.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def render(self) -> str:
        """The lines shown to a user: `error: …` and, when there is one, `hint: …`."""
        lines = [f"error: {self.message}"]
        if self.hint:
            lines.append(f"hint: {self.hint}")
        return "\n".join(lines)
