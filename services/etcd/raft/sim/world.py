"""Virtual time, clients and faults.

Events are kept in a heap by time. Everything random comes from one generator, so a seed
fixes the run.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

from services.etcd.raft.config import Config, ReadMode
from services.etcd.raft.model import ConfState, Message, MessageType, Snapshot
from services.etcd.raft.node import Node
from services.etcd.raft.sim import clients
from services.etcd.raft.sim.host import Host
from services.etcd.raft.sim.network import Network
from services.etcd.raft.sim.oracle import Oracle
from services.etcd.raft.sim.plan import TICK, Plan
from services.etcd.raft.storage import MemoryStorage

_VOTES = (MessageType.VOTE, MessageType.PRE_VOTE)


class World:
    """A cluster under one plan."""

    def __init__(self, plan: Plan, random: Random) -> None:
        self.plan, self.random = plan, random
        self.oracle = Oracle()
        self.network = Network(plan, random)
        self.now = 0
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        voters = tuple(range(1, plan.voters + 1))
        first = Snapshot(b"", ConfState(voters), 1, 1)
        self.hosts = {node: self._host(node, first) for node in voters}
        for node in range(plan.voters + 1, plan.voters + plan.spares + 1):
            self.hosts[node] = self._host(node, Snapshot())
        self._speed = {node: 1 + plan.drift * random.random() for node in self.hosts}
        for host in self.hosts.values():
            self._later(random.randrange(TICK), partial(self._tick, host))

    def _host(self, node: int, snapshot: Snapshot) -> Host:
        plan = self.plan
        config = Config(
            id=node,
            storage=MemoryStorage(),
            random_below=self.random.randrange,
            election_tick=plan.election_tick,
            heartbeat_tick=2 if plan.election_tick > 4 else 1,
            async_storage_writes=plan.async_storage,
            max_message_size=plan.max_message,
            max_committed_size=plan.max_committed,
            max_inflight_messages=plan.max_inflight,
            check_quorum=plan.check_quorum,
            pre_vote=plan.pre_vote,
            read_mode=plan.read_mode,
            step_down_on_removal=plan.step_down_on_removal,
        )
        return Host(config, snapshot, self.oracle, self.random, self._send)

    # Time

    def _later(self, delay: int, event: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (self.now + delay, next(self._order), event))

    def run(self, ticks: int) -> None:
        """Let time pass. Raises SafetyError."""
        end = self.now + ticks * TICK
        while self._queue and self._queue[0][0] <= end:
            self.now, _, event = heapq.heappop(self._queue)
            event()
        self.now = end

    def _tick(self, host: Host) -> None:
        self._later(int(TICK * self._speed[host.id]), partial(self._tick, host))
        if host.up:
            host.silent_ticks -= 1
            host.node.tick()
            self.pump(host)

    # Work of hosts

    def pump(self, host: Host) -> None:
        """Start what is ready on a host, and see to it that it gets done."""
        was_writing, was_applying = host.writing, host.applying
        host.pump()
        if host.writing and not was_writing:
            self._write_later(host)
        if host.applying and not was_applying:
            self._apply_later(host)

    def _write_later(self, host: Host) -> None:
        delay = 1 + self.random.randrange(self.plan.write_time)
        self._later(delay, partial(self._written, host, host.node))

    def _written(self, host: Host, node: Node) -> None:
        if not host.up or host.node is not node:
            return  # the host went down in between
        host.written()
        self.pump(host)

    def _apply_later(self, host: Host) -> None:
        delay = 1 + self.random.randrange(self.plan.write_time)
        self._later(delay, partial(self._applied, host, host.node))

    def _applied(self, host: Host, node: Node) -> None:
        if not host.up or host.node is not node:
            return
        host.applied()
        if host.applying:
            self._apply_later(host)
        self.pump(host)

    # Messages

    def _send(self, message: Message) -> None:
        arrivals = self.network.arrivals()
        for delay in arrivals:
            self._later(delay, partial(self._arrive, message))
        if not arrivals:
            self._report(message, ok=False)

    def _arrive(self, message: Message) -> None:
        host = self.hosts[message.to]
        ok = host.up and self.network.passes(message.sender, message.to)
        if ok and not (host.silent_ticks > 0 and message.type in _VOTES):
            host.receive(message)
            self.pump(host)
        self._report(message, ok=ok)

    def _report(self, message: Message, *, ok: bool) -> None:
        """Tell the sender about a snapshot, and mostly about any message that was lost."""
        sender = self.hosts[message.sender]
        if not sender.up:
            return
        if message.type is MessageType.SNAP:
            sender.node.report_snapshot(message.to, ok=ok)
        elif not ok and self.random.random() < 0.7:
            sender.node.report_unreachable(message.to)

    # Clients and faults

    def trouble(self) -> None:
        """Start clients and faults; they go on until `calm`."""
        self._repeat(self.plan.client_rate, partial(clients.act, self))
        self._repeat(self.plan.fault_rate, self._fault)

    def _repeat(self, rate: float, event: Callable[[], None]) -> None:
        def again() -> None:
            if not self.network.calm:
                event()
                self._repeat(rate, event)

        self._later(1 + int(self.random.expovariate(rate) * TICK), again)

    def _fault(self) -> None:
        host = self.random.choice(list(self.hosts.values()))
        kind = self.random.random()
        if not host.up:
            self.restart(host)
        elif kind < 0.35:
            host.crash()
            self._later(self.random.randrange(20 * TICK), partial(self.restart, host))
        elif kind < 0.65:
            self.network.part(list(self.hosts))
        elif kind < 0.9:
            self.network.heal()
        else:
            self._speed[host.id] = 1 + self.plan.drift * self.random.random()

    def restart(self, host: Host) -> None:
        """Boot a host that is down."""
        if host.up:
            return
        host.start()
        if self.plan.read_mode is ReadMode.LEASE:
            host.silent_ticks = self.plan.election_tick + 1
        self.pump(host)

    def calm(self) -> None:
        """End all trouble: mend the network and boot every host."""
        self.network.calm = True
        for host in self.hosts.values():
            self.restart(host)

    def retire(self) -> None:
        """Leave only those running whom some member still needs, as operators do."""
        members = max(self.hosts.values(), key=lambda host: host.machine).members
        needed = set().union(*(self.hosts[node].members for node in members), members)
        for host in self.hosts.values():
            if host.id in needed:
                self.restart(host)
            elif host.up:
                host.crash()
