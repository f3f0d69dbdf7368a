"""Settings of a node, checked at construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from services.etcd.raft.errors import ConfigError
from services.etcd.raft.model import NO_LIMIT, NONE, is_local_target
from services.etcd.raft.storage import Storage


class ReadMode(Enum):
    """How a read request is made safe.

    SAFE asks a quorum each time. LEASE trusts that no other leader can exist within an
    election timeout of a quorum's last answer: clocks must not drift further apart than the
    spread of that timeout, and a restarted node must stay silent for as long.
    """

    SAFE = "safe"
    LEASE = "lease-based"


class Logger(Protocol):
    """What the core tells about itself; `logging.Logger` has this shape."""

    def debug(self, msg: str, *args: object) -> None: ...
    def info(self, msg: str, *args: object) -> None: ...
    def warning(self, msg: str, *args: object) -> None: ...


class NullLogger:
    """Says nothing."""

    def debug(self, msg: str, *args: object) -> None: ...
    def info(self, msg: str, *args: object) -> None: ...
    def warning(self, msg: str, *args: object) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Settings of one node. Times are in ticks, sizes in bytes. Raises ConfigError.

    `random_below(n)` returns a number from 0 to n - 1 and is the only source of chance.
    `applied` is what the host had applied before a restart. `max_message_size` bounds the
    encoded entries of one append, 0 meaning one entry; `max_committed_size` (0: the same)
    those handed out and not yet applied; `max_uncommitted_size` (0: no limit) the payload
    that the leader holds uncommitted; `max_inflight_messages` and `max_inflight_bytes` (0: no
    limit) what is under way to one node. `async_storage_writes` hands storage work out as
    messages. `step_down_on_removal` makes a leader that is no voter any more resign; should
    the others not know of its removal yet, they may wait for it in vain: transfer first.
    `disable_conf_change_validation` takes any change at proposal, for hosts that check.
    """

    id: int
    storage: Storage
    random_below: Callable[[int], int]
    election_tick: int = 10
    heartbeat_tick: int = 1
    applied: int = 0
    async_storage_writes: bool = False
    max_message_size: int = 1 << 20
    max_committed_size: int = 0
    max_uncommitted_size: int = 0
    max_inflight_messages: int = 256
    max_inflight_bytes: int = 0
    check_quorum: bool = False
    pre_vote: bool = False
    read_mode: ReadMode = ReadMode.SAFE
    disable_proposal_forwarding: bool = False
    disable_conf_change_validation: bool = False
    step_down_on_removal: bool = False
    logger: Logger = field(default_factory=NullLogger)

    def __post_init__(self) -> None:
        inflight = self.max_inflight_bytes
        rules = {
            "node number must be set and not one of the local threads'": self.id != NONE
            and not is_local_target(self.id),
            "heartbeat tick must be greater than 0": self.heartbeat_tick > 0,
            "election tick must be greater than heartbeat tick": self.election_tick
            > self.heartbeat_tick,
            "max inflight messages must be greater than 0": self.max_inflight_messages > 0,
            "max inflight bytes must be at least max message size": not inflight
            or inflight >= self.max_message_size,
            "lease reads need check quorum": self.read_mode is ReadMode.SAFE or self.check_quorum,
        }
        for rule, holds in rules.items():
            if not holds:
                raise ConfigError(rule)

    @property
    def committed_limit(self) -> int:
        """`max_committed_size` with its default."""
        return self.max_committed_size or self.max_message_size

    @property
    def uncommitted_limit(self) -> int:
        """`max_uncommitted_size` with its default."""
        return self.max_uncommitted_size or NO_LIMIT
