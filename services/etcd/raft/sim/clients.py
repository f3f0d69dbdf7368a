"""What clients and operators do to a cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING

from services.etcd.raft.confchange import ChangeSingle, ChangeType, ConfChangeV2, Transition
from services.etcd.raft.errors import RaftError
from services.etcd.raft.sim.host import Host, tolerate

if TYPE_CHECKING:
    from services.etcd.raft.sim.world import World


def act(world: World) -> None:
    """Do one thing to one host that is up."""
    up = [host for host in world.hosts.values() if host.up]
    if not up:
        return
    host = world.random.choice(up)
    if world.random.random() < world.plan.change_share:
        _change(world, [h for h in up if h.leads])
        return
    kind = world.random.random()
    try:
        if kind < 0.6:
            propose(world, host)
        elif kind < 0.82:
            read(world, host)
        elif kind < 0.95:
            _compact(world, host)
        elif kind < 0.98:
            _transfer(world, host)
        else:
            host.node.forget_leader()
    except RaftError as error:
        tolerate(error)
    world.pump(host)


def propose(world: World, host: Host) -> None:
    """Propose a few entries; their data tells them apart. Raises ProposalDroppedError."""
    sizes = [world.random.randrange(1, 40) for _ in range(world.random.choice((1, 1, 4)))]
    host.node.propose(*(world.random.randbytes(size) for size in sizes))


def read(world: World, host: Host) -> None:
    """Ask for a read, and remember what was known when it was asked."""
    context = world.random.randbytes(8)
    host.reads[context] = world.oracle.highest_applied
    host.node.read_index(context)


def _compact(world: World, host: Host) -> None:
    if not host.writing:
        host.compact(keep=world.random.choice((0, 3, 10)))


def _transfer(world: World, host: Host) -> None:
    host.node.transfer_leader(world.random.choice(list(world.hosts)))


def _change(world: World, leaders: list[Host]) -> None:
    if not leaders:
        return
    leader = world.random.choice(leaders)
    change = _draw_change(world, leader)
    if change is None:
        return
    try:
        leader.node.propose_conf_change(change)
    except RaftError as error:
        tolerate(error)
    world.pump(leader)


def _draw_change(world: World, leader: Host) -> ConfChangeV2 | None:
    """A change that leaves at least one voter; None when the one drawn would not."""
    random, state = world.random, leader.node.conf_state
    if state.voters_outgoing:
        return ConfChangeV2()
    count = min(len(world.hosts), random.choice((1, 1, 2, 3)))
    nodes = random.sample(list(world.hosts), count)
    singles = tuple(ChangeSingle(random.choice(_KINDS), node) for node in nodes)
    gone = {single.node for single in singles if single.type is not ChangeType.ADD_NODE}
    if gone >= set(state.voters):
        return None
    return ConfChangeV2(singles, random.choice(list(Transition)))


_KINDS = (
    ChangeType.ADD_NODE,
    ChangeType.ADD_NODE,
    ChangeType.REMOVE_NODE,
    ChangeType.ADD_LEARNER_NODE,
)
