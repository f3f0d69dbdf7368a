"""One run from a seed, from bootstrap to the last check."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from services.etcd.raft.errors import RaftError
from services.etcd.raft.sim import clients
from services.etcd.raft.sim.host import tolerate
from services.etcd.raft.sim.oracle import SafetyError
from services.etcd.raft.sim.plan import Plan
from services.etcd.raft.sim.world import World

_RECOVERY_TICKS = 150
_RECOVERY_ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Result:
    """What a run did: entries applied and promises checked."""

    seed: int
    applied: int
    checks: int


def run_seed(seed: int, *, ticks: int, recover: bool) -> Result:
    """Run trouble for some ticks; with `recover` also see the cluster come back after it.

    Raises SafetyError, or what the core raised, with a note that names the seed.
    """
    random = Random(seed)
    world = World(Plan.draw(random, ticks), random)
    try:
        world.trouble()
        world.run(ticks)
        if recover:
            _recover(world)
    except (SafetyError, RaftError) as error:
        error.add_note(f"seed {seed}, {ticks} ticks, {world.plan}")
        raise
    return Result(seed, world.oracle.highest_applied, world.oracle.checks)


def _recover(world: World) -> None:
    """Every member of the last configuration must catch up and apply something new."""
    world.calm()
    for _ in range(_RECOVERY_ROUNDS):
        world.retire()
        world.run(_RECOVERY_TICKS)
        target = world.oracle.highest_applied + 1
        for host in world.hosts.values():
            if host.leads:
                _nudge(world, host.id)
        world.run(_RECOVERY_TICKS)
        if _converged(world, target):
            return
    if not _held_back(world):
        raise SafetyError("no progress after all trouble ended")


def _held_back(world: World) -> bool:
    """Whether a leader resigned on its removal before the others knew of it.

    They still need its vote then, and it refuses if its log is longer: the known price of
    `Config.step_down_on_removal` when the last messages of that leader are lost.
    """
    if not world.plan.step_down_on_removal:
        return False
    members = max(world.hosts.values(), key=lambda host: host.machine).members
    longest = max(world.hosts.values(), key=lambda host: host.disk.storage.last_index())
    return longest.id not in members


def _nudge(world: World, node: int) -> None:
    host = world.hosts[node]
    try:
        clients.propose(world, host)
    except RaftError as error:
        tolerate(error)
    world.pump(host)


def _converged(world: World, target: int) -> bool:
    leaders = [host for host in world.hosts.values() if host.leads]
    if not leaders:
        return False
    leader = max(leaders, key=lambda host: host.node.hard_state.term)
    machines = {world.hosts[node].machine for node in leader.members}
    return len(machines) == 1 and machines.pop()[0] >= target
