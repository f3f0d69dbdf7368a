"""The network between hosts: which messages arrive, when, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from services.etcd.raft.sim.plan import Plan


class Network:
    """`calm` turns loss, doubling and cuts off."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self._plan, self._random = plan, random
        self._cuts: set[tuple[int, int]] = set()
        self.calm = False

    def arrivals(self) -> Sequence[int]:
        """After how long the copies of a message arrive."""
        plan, random = self._plan, self._random
        if self.calm:
            return (1 + random.randrange(plan.delay),)
        if random.random() < plan.loss:
            return ()
        copies = 2 if random.random() < plan.doubling else 1
        # Most messages are quick and a few are very late, which is what reorders them.
        late = 4 if random.random() < 0.05 else 1
        return [1 + random.randrange(plan.delay * late) for _ in range(copies)]

    def passes(self, sender: int, to: int) -> bool:
        """Whether the line between two hosts is whole at this moment."""
        return self.calm or (sender, to) not in self._cuts

    def part(self, hosts: Sequence[int]) -> None:
        """Cut the hosts into two halves, sometimes for one direction only."""
        side = {host for host in hosts if self._random.random() < 0.5}
        one_way = self._random.random() < 0.3
        self._cuts = {
            (a, b)
            for a in hosts
            for b in hosts
            if (a in side) != (b in side) and (a in side or not one_way)
        }

    def heal(self) -> None:
        """Mend all lines."""
        self._cuts = set()
