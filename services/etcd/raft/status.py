"""What a node shows of itself."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.etcd.raft.model import HardState, Role, SoftState
from services.etcd.raft.tracker import Progress, TrackerConfig

if TYPE_CHECKING:
    from services.etcd.raft.core import Raft


@dataclass(frozen=True, slots=True)
class Status:
    """A snapshot of one node. `progress` is empty unless it leads."""

    id: int
    hard_state: HardState
    soft_state: SoftState
    applied: int
    lead_transferee: int
    config: TrackerConfig
    progress: Mapping[int, Progress]

    @property
    def is_voter(self) -> bool:
        """Whether this node has a vote in either half of the configuration."""
        return self.id in self.config.voters.ids


def status_of(r: Raft) -> Status:
    """The present status; later changes of the node do not show in it."""
    progress: dict[int, Progress] = {}
    if r.role is Role.LEADER:
        for node, pr in r.tracker.progress.items():
            progress[node] = copy(pr)
            progress[node].inflights = deepcopy(pr.inflights)
    return Status(
        id=r.id,
        hard_state=r.hard_state(),
        soft_state=r.soft_state(),
        applied=r.log.applied,
        lead_transferee=r.lead_transferee,
        config=r.tracker.config,
        progress=progress,
    )
