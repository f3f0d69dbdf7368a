"""What a seed decides before the run begins."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from services.etcd.raft.config import ReadMode

TICK = 100
"""Units of virtual time in a tick of an exact clock."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Times are in units of virtual time, rates in events per tick, chances from 0 to 1."""

    voters: int
    spares: int
    election_tick: int
    pre_vote: bool
    check_quorum: bool
    async_storage: bool
    step_down_on_removal: bool
    read_mode: ReadMode
    max_message: int
    max_committed: int
    max_inflight: int
    loss: float
    doubling: float
    delay: int
    write_time: int
    drift: float
    client_rate: float
    change_share: float
    fault_rate: float
    ticks: int

    @classmethod
    def draw(cls, random: Random, ticks: int) -> Plan:
        """A plan out of everything that may be combined."""
        lease = random.random() < 0.2
        check_quorum = lease or random.random() < 0.5
        return cls(
            voters=random.choice((1, 2, 3, 3, 3, 4, 5)),
            spares=random.choice((0, 1, 2)),
            election_tick=random.choice((4, 5, 8)) if not lease else 8,
            pre_vote=random.random() < 0.6,
            check_quorum=check_quorum,
            async_storage=random.random() < 0.5,
            step_down_on_removal=random.random() < 0.5,
            read_mode=ReadMode.LEASE if lease else ReadMode.SAFE,
            max_message=random.choice((0, 40, 1 << 20)),
            max_committed=random.choice((1, 60, 1 << 20)),
            max_inflight=random.choice((1, 2, 8, 64)),
            loss=random.choice((0.0, 0.0, 0.02, 0.1)),
            doubling=random.choice((0.0, 0.05)),
            delay=random.choice((10, 60, 250)),
            write_time=random.choice((1, 30, 150)),
            # A lease is only promised as long as clocks run alike.
            drift=0.0 if lease else random.choice((0.0, 0.1, 0.5)),
            client_rate=random.choice((0.3, 0.8, 1.5)),
            change_share=random.choice((0.02, 0.1, 0.4)),
            fault_rate=random.choice((0.02, 0.06, 0.12)),
            ticks=ticks,
        )
