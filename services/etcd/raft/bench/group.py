"""A group of nodes in one process, and the processor time each of them takes."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import TypeVar

from services.etcd.raft.config import Config
from services.etcd.raft.model import (
    APPEND_THREAD,
    APPLY_THREAD,
    ConfState,
    HardState,
    Message,
    Role,
    Snapshot,
)
from services.etcd.raft.node import Node
from services.etcd.raft.storage import MemoryStorage

_KEEP = 10_000
"""Entries kept behind the applied index, as a host would before compacting its log."""

_T = TypeVar("_T")


class Member:
    """A node with its storage; `busy` is the processor time its core took, in seconds."""

    def __init__(self, number: int, size: int, *, threads: bool) -> None:
        self.storage = MemoryStorage()
        voters = tuple(range(1, size + 1))
        self.storage.apply_snapshot(Snapshot(b"", ConfState(voters), 1, 1))
        self.threads = threads
        self.busy = 0.0
        self.applied = 0
        self.node = Node(
            Config(
                id=number,
                storage=self.storage,
                random_below=Random(number).randrange,
                applied=1,
                async_storage_writes=threads,
                check_quorum=True,
                pre_vote=True,
            )
        )

    def timed(self, call: Callable[[], _T]) -> _T:
        """Call the core and charge the time to this member."""
        start = time.process_time()
        result = call()
        self.busy += time.process_time() - start
        return result

    def work(self) -> list[Message]:
        """Do what is ready, and return what goes to other members."""
        out: list[Message] = []
        while self.timed(self.node.has_ready):
            ready = self.timed(self.node.ready)
            local = list(ready.messages)
            if not self.threads:
                if ready.hard_state:
                    self.storage.set_hard_state(ready.hard_state)
                self.storage.append(ready.entries)
                self.applied += len(ready.committed_entries)
                self.timed(self.node.advance)
            while local:
                message = local.pop(0)
                if message.to == self.node.id:
                    self.step(message)
                elif message.to in (APPEND_THREAD, APPLY_THREAD):
                    local.extend(self._carry_out(message))
                else:
                    out.append(message)
        return out

    def _carry_out(self, message: Message) -> tuple[Message, ...]:
        if message.to == APPLY_THREAD:
            self.applied += len(message.entries)
        else:
            if message.term:
                state = HardState(message.term, message.vote, message.commit)
                self.storage.set_hard_state(state)
            self.storage.append(message.entries)
        return message.responses

    def step(self, message: Message) -> None:
        """Deliver a message."""
        self.timed(lambda: self.node.step(message))

    def compact(self) -> None:
        """Drop old entries, as a host does now and then."""
        index = self.node.applied - _KEEP
        if index > self.storage.first_index() + _KEEP:
            self.storage.compact(index)


class Group:
    """Members 1 to `size`, of which the first leads. `threads`: async storage writes."""

    def __init__(self, size: int, *, threads: bool = False) -> None:
        self.members = [Member(number, size, threads=threads) for number in range(1, size + 1)]
        self.leader = self.members[0]
        self.leader.node.campaign()
        self.settle()
        assert self.leader.node.soft_state.role is Role.LEADER

    def settle(self) -> None:
        """Pass messages around until nothing is left to do."""
        mail = [message for member in self.members for message in member.work()]
        while mail:
            for message in mail:
                self.members[message.to - 1].step(message)
            mail = [message for member in self.members for message in member.work()]
        for member in self.members:
            member.compact()

    def propose(self, *data: bytes) -> None:
        """Propose on the leader and wait until everybody has applied."""
        self.leader.timed(lambda: self.leader.node.propose(*data))
        self.settle()
