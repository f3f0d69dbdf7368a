"""Nodes as hosts see them: elections, reads, limits, transfers, async storage."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from services.etcd.raft.confchange import ConfChangeV2, change_of_entry
from services.etcd.raft.confchange.change import parse_changes
from services.etcd.raft.config import Config, ReadMode
from services.etcd.raft.errors import (
    ConfigError,
    InvariantError,
    ProposalDroppedError,
    StepLocalError,
    StepPeerNotFoundError,
)
from services.etcd.raft.model import (
    APPEND_THREAD,
    ConfState,
    Entry,
    EntryType,
    HardState,
    Message,
    MessageType,
    ReadState,
    Role,
    Snapshot,
    SoftState,
)
from services.etcd.raft.node import Node
from services.etcd.raft.storage import MemoryStorage


class Group:
    """Nodes with memory storage; messages reach whom `passes` lets them."""

    def __init__(self, voters: int, **settings: object) -> None:
        self.voters = tuple(range(1, voters + 1))
        self.storages = {node: MemoryStorage() for node in self.voters}
        self.applied: dict[int, list[Entry]] = {node: [] for node in self.voters}
        self.reads: dict[int, list[ReadState]] = {node: [] for node in self.voters}
        self.passes: Callable[[Message], bool] = lambda message: True
        self.nodes: dict[int, Node] = {}
        for node, storage in self.storages.items():
            storage.apply_snapshot(Snapshot(b"", ConfState(self.voters), 1, 1))
            fields: dict[str, object] = {"id": node, "storage": storage, "applied": 1}
            fields |= {"random_below": lambda n: 0, **settings}
            self.nodes[node] = Node(Config(**fields))  # type: ignore[arg-type]

    def settle(self) -> None:
        """Carry out everything that is ready anywhere."""
        while any(node.has_ready() for node in self.nodes.values()):
            mail = [message for node in self.voters for message in self._work(node)]
            for message in filter(self.passes, mail):
                self.nodes[message.to].step(message)

    def _work(self, number: int) -> tuple[Message, ...]:
        node, storage = self.nodes[number], self.storages[number]
        if not node.has_ready():
            return ()
        ready = node.ready()
        if ready.hard_state:
            storage.set_hard_state(ready.hard_state)
        if ready.snapshot:
            storage.apply_snapshot(ready.snapshot)
        storage.append(ready.entries)
        for entry in ready.committed_entries:
            self.applied[number].append(entry)
            change = change_of_entry(entry)
            if change is not None:
                node.apply_conf_change(change, entry.index)
        self.reads[number] += ready.read_states
        node.advance()
        return ready.messages

    def tick(self, number: int, times: int = 1) -> None:
        """Let a node's time pass, settling after each tick."""
        for _ in range(times):
            self.nodes[number].tick()
            self.settle()

    def elect(self, number: int) -> Node:
        """Make a node leader."""
        self.nodes[number].campaign()
        self.settle()
        assert self.nodes[number].soft_state.role is Role.LEADER
        return self.nodes[number]

    def data(self, number: int) -> list[bytes]:
        """What a node applied, without the empty entries."""
        return [entry.data for entry in self.applied[number] if entry.data]


def test_everybody_applies_what_is_proposed() -> None:
    group = Group(3)
    group.elect(1).propose(b"a", b"b")
    group.settle()
    group.nodes[2].propose(b"c")
    group.settle()
    assert [group.data(node) for node in group.voters] == [[b"a", b"b", b"c"]] * 3


@pytest.mark.parametrize("pre_vote", [True, False])
def test_a_silent_leader_is_replaced(pre_vote: bool) -> None:
    group = Group(3, pre_vote=pre_vote)
    group.elect(1)
    group.passes = lambda message: 1 not in (message.sender, message.to)
    group.tick(2, 10)
    assert group.nodes[2].soft_state.role is Role.LEADER


def test_pre_vote_keeps_the_term_of_a_node_that_is_cut_off() -> None:
    group = Group(3, pre_vote=True, check_quorum=True)
    group.elect(1)
    group.passes = lambda message: 3 not in (message.sender, message.to)
    group.tick(3, 50)
    assert group.nodes[3].hard_state.term == group.nodes[1].hard_state.term


def test_check_quorum_deposes_a_leader_without_followers() -> None:
    group = Group(3, check_quorum=True)
    group.elect(1)
    group.passes = lambda message: 1 not in (message.sender, message.to)
    group.tick(1, 20)
    assert group.nodes[1].soft_state.role is Role.FOLLOWER


def test_a_transfer_makes_the_other_node_leader_at_once() -> None:
    group = Group(3, check_quorum=True, pre_vote=True)
    group.elect(1).transfer_leader(2)
    with pytest.raises(ProposalDroppedError):
        group.nodes[1].propose(b"x")
    group.settle()
    assert group.nodes[2].soft_state.role is Role.LEADER


def test_a_transfer_to_a_dead_node_is_given_up() -> None:
    group = Group(3)
    leader = group.elect(1)
    group.passes = lambda message: message.to != 2
    leader.transfer_leader(2)
    group.tick(1, 10)
    leader.propose(b"x")
    group.settle()
    assert group.data(1) == [b"x"]


@pytest.mark.parametrize("asker", [1, 2])
def test_a_read_is_answered_at_the_commit_index(asker: int) -> None:
    group = Group(3)
    leader = group.elect(1)
    leader.propose(b"x")
    group.settle()
    group.nodes[asker].read_index(b"ctx")
    group.settle()
    assert group.reads[asker] == [ReadState(leader.hard_state.commit, b"ctx")]


def test_a_leader_that_is_cut_off_answers_no_read() -> None:
    group = Group(3)
    group.elect(1)
    group.passes = lambda message: False
    group.nodes[1].read_index(b"ctx")
    group.tick(1, 3)
    assert group.reads[1] == []


def test_a_read_waits_for_the_first_commit_of_the_term() -> None:
    group = Group(3)
    group.elect(2)
    group.nodes[1].campaign()
    group.passes = lambda message: message.type is not MessageType.APP
    group.settle()
    group.nodes[1].read_index(b"ctx")
    group.settle()
    assert group.reads[1] == []
    group.passes = lambda message: True
    group.tick(1)
    assert [read.index for read in group.reads[1]] == [3]


def test_a_lease_answers_without_a_round_until_it_ends() -> None:
    group = Group(3, check_quorum=True, read_mode=ReadMode.LEASE)
    group.elect(1)
    group.tick(1)
    group.passes = lambda message: False
    group.nodes[1].read_index(b"early")
    group.settle()
    assert [read.context for read in group.reads[1]] == [b"early"]
    group.tick(1, 8)
    group.nodes[1].read_index(b"late")
    group.settle()
    assert len(group.reads[1]) == 1


def test_a_transfer_voids_the_lease() -> None:
    group = Group(3, check_quorum=True, read_mode=ReadMode.LEASE)
    group.elect(1)
    group.tick(1)
    group.passes = lambda message: False
    group.nodes[1].transfer_leader(2)
    group.nodes[1].read_index(b"ctx")
    group.settle()
    assert group.reads[1] == []


def test_a_removed_leader_does_not_read_for_the_one_that_is_left() -> None:
    group = Group(2)
    leader = group.elect(1)
    leader.propose_conf_change(ConfChangeV2(parse_changes("r1")))
    group.settle()
    assert leader.conf_state.voters == (2,)
    group.passes = lambda message: False
    leader.read_index(b"ctx")
    group.settle()
    assert group.reads[1] == []


def test_the_uncommitted_tail_is_bounded() -> None:
    group = Group(3, max_uncommitted_size=100)
    leader = group.elect(1)
    group.passes = lambda message: False
    leader.propose(bytes(90))
    with pytest.raises(ProposalDroppedError):
        leader.propose(bytes(20))
    leader.propose(b"")
    group.passes = lambda message: True
    group.tick(1)
    leader.propose(bytes(90))


def test_a_slow_node_holds_a_bounded_number_of_messages() -> None:
    group = Group(2, max_inflight_messages=3)
    leader = group.elect(1)
    group.passes = lambda message: False
    for _ in range(10):
        leader.propose(b"x")
        group.settle()
    progress = leader.status().progress[2]
    assert len(progress.inflights) == 3
    assert progress.is_paused


def test_a_node_that_lags_behind_the_log_gets_a_snapshot() -> None:
    group = Group(3)
    leader = group.elect(1)
    group.passes = lambda message: 3 not in (message.sender, message.to)
    leader.propose(*[b"x"] * 10)
    group.settle()
    storage = group.storages[1]
    storage.create_snapshot(leader.applied, leader.conf_state, b"state")
    storage.compact(leader.applied)
    group.passes = lambda message: True
    group.tick(1, 2)
    leader.report_snapshot(3, ok=True)
    group.tick(1, 2)
    assert group.storages[3].snapshot().data == b"state"
    assert group.nodes[3].hard_state.commit == leader.hard_state.commit


def test_a_change_in_a_snapshot_is_not_applied_again() -> None:
    group = Group(1)
    node = group.nodes[1]
    snapshot = Snapshot(b"", ConfState((1, 2)), 9, 3)
    node.step(Message(MessageType.SNAP, to=1, sender=2, term=3, snapshot=snapshot))
    node.apply_conf_change(ConfChangeV2(parse_changes("r2")), index=8)
    assert node.conf_state.voters == (1, 2)


def test_a_second_change_waits_for_the_first() -> None:
    group = Group(3)
    leader = group.elect(1)
    leader.propose_conf_change(ConfChangeV2(parse_changes("l4")))
    leader.propose_conf_change(ConfChangeV2(parse_changes("l5")))
    group.passes = lambda message: message.to <= 3
    group.settle()
    assert leader.conf_state.learners == (4,)
    assert [entry.type for entry in group.applied[2][-2:]] == [
        EntryType.CONF_CHANGE_V2,
        EntryType.NORMAL,
    ]


def test_a_forgotten_leader_leaves_the_node_free_to_vote() -> None:
    group = Group(3, check_quorum=True, pre_vote=True)
    group.elect(1)
    group.nodes[3].forget_leader()
    group.passes = lambda message: 1 not in (message.sender, message.to)
    group.nodes[2].campaign()
    group.settle()
    assert group.nodes[2].soft_state.role is Role.LEADER


def test_async_storage_acknowledges_only_what_is_written() -> None:
    group = Group(1, async_storage_writes=True)
    node = group.nodes[1]
    node.campaign()
    (vote,) = node.ready().messages
    assert (vote.to, vote.type) == (APPEND_THREAD, MessageType.STORAGE_APPEND)
    assert node.soft_state == SoftState(0, Role.CANDIDATE)
    assert not node.has_ready()
    for response in vote.responses:
        node.step(response)
    assert node.soft_state == SoftState(1, Role.LEADER)
    (append,) = node.ready().messages
    group.storages[1].append(append.entries)
    assert node.hard_state.commit == 1
    for response in append.responses:
        node.step(response)
    assert node.hard_state.commit == 2
    kinds = [message.type for message in node.ready().messages]
    assert kinds == [MessageType.STORAGE_APPEND, MessageType.STORAGE_APPLY]
    with pytest.raises(InvariantError):
        node.advance()


def test_a_restart_continues_from_what_was_saved() -> None:
    group = Group(1)
    group.elect(1).propose(b"x")
    group.settle()
    storage = group.storages[1]
    again = Node(Config(id=1, storage=storage, random_below=lambda n: 0, applied=2))
    assert again.hard_state == group.nodes[1].hard_state
    assert again.soft_state.role is Role.FOLLOWER
    ready = again.ready()
    assert [entry.data for entry in ready.committed_entries] == [b"x"]
    assert not ready.must_sync


@pytest.mark.parametrize(
    ("message", "error"),
    [
        pytest.param(Message(MessageType.HUP, sender=2), StepLocalError, id="local"),
        pytest.param(Message(MessageType.APP_RESP, sender=9), StepPeerNotFoundError, id="stranger"),
        pytest.param(
            Message(MessageType.PROP, sender=2, entries=(Entry(0, 0),)),
            ProposalDroppedError,
            id="no-leader",
        ),
    ],
)
def test_refusals(message: Message, error: type[Exception]) -> None:
    with pytest.raises(error):
        Group(3).nodes[1].step(message)


def test_ready_may_not_be_taken_twice() -> None:
    node = Group(1).nodes[1]
    node.campaign()
    node.ready()
    with pytest.raises(InvariantError):
        node.ready()


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"id": 0}, id="no-number"),
        pytest.param({"id": APPEND_THREAD}, id="thread"),
        pytest.param({"heartbeat_tick": 0}, id="heartbeat"),
        pytest.param({"election_tick": 1}, id="election"),
        pytest.param({"max_inflight_messages": 0}, id="inflight"),
        pytest.param({"max_inflight_bytes": 5}, id="inflight-bytes"),
        pytest.param({"read_mode": ReadMode.LEASE}, id="lease-without-check-quorum"),
    ],
)
def test_settings_are_checked(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        Group(1, **settings)


def test_a_saved_commit_beyond_the_log_is_refused() -> None:
    storage = MemoryStorage()
    storage.set_hard_state(HardState(1, 1, 5))
    with pytest.raises(InvariantError):
        Node(Config(id=1, storage=storage, random_below=lambda n: 0))
