"""Decisions of a single set of voters."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import IntEnum

INFINITY = (1 << 64) - 1
"""The index that an empty set of voters has committed."""


class VoteResult(IntEnum):
    """Outcome of an election as far as the votes known allow to say."""

    PENDING = 1
    LOST = 2
    WON = 3

    @property
    def text(self) -> str:
        return "Vote" + self.name.capitalize()


def majority_rank(acked: Iterable[int]) -> int:
    """The highest number that more than half of `acked` have reached; INFINITY for none."""
    ranked = sorted(acked)
    return ranked[(len(ranked) - 1) // 2] if ranked else INFINITY


def committed_index(voters: Collection[int], acked: Mapping[int, int]) -> int:
    """The highest index acknowledged by a majority of `voters`; the silent count as 0."""
    return majority_rank([acked.get(voter, 0) for voter in voters])


def vote_result(voters: Collection[int], votes: Mapping[int, bool]) -> VoteResult:
    """Whether `votes` (yes is True, absent is not yet given) decide the election."""
    if not voters:
        return VoteResult.WON
    given = [votes[voter] for voter in voters if voter in votes]
    granted, needed = sum(given), len(voters) // 2 + 1
    if granted >= needed:
        return VoteResult.WON
    missing = len(voters) - len(given)
    return VoteResult.PENDING if granted + missing >= needed else VoteResult.LOST


def format_ids(ids: Iterable[int]) -> str:
    """A set of nodes for people: `(1 2 3)`, in hexadecimal."""
    return f"({' '.join(f'{node:x}' for node in sorted(ids))})"


def describe(voters: Collection[int], acked: Mapping[int, int]) -> str:
    """A chart of what each voter acknowledged: the longer the bar, the higher its rank."""
    if not voters:
        return "<empty majority quorum>"
    bars: dict[int, int] = {}
    ranked = sorted(voters, key=lambda voter: (acked.get(voter, 0), voter))
    for rank, voter in enumerate(ranked):
        before = ranked[rank - 1]
        tied = rank == 0 or acked.get(before, 0) == acked.get(voter, 0)
        bars[voter] = bars.get(before, 0) if tied else rank
    width = len(voters)
    lines = [" " * width + "    idx"]
    for voter in sorted(voters):
        bar = "x" * bars[voter] + ">" if voter in acked else "?"
        lines.append(f"{bar:<{width + 1}} {acked.get(voter, 0):5d}    (id={voter:x})")
    return "\n".join(lines) + "\n"
