"""Rounds of read confirmation."""

from __future__ import annotations

from services.etcd.raft.model import Message, MessageType
from services.etcd.raft.quorum import JointConfig
from services.etcd.raft.reads import Reads

THREE = JointConfig(frozenset({1, 2, 3}))


def request() -> Message:
    return Message(MessageType.READ_INDEX)


def test_a_quorum_confirms_every_read_asked_before_its_round() -> None:
    reads = Reads()
    reads.add(5, request())
    reads.add(6, request())
    context = reads.start_round(1, 0)
    reads.add(7, request())
    assert reads.confirm(THREE) == []
    reads.acknowledge(2, context)
    assert [read.index for read in reads.confirm(THREE)] == [5, 6]
    assert [read.index for read in reads.waiting] == [7]


def test_an_old_echo_confirms_nothing_newer() -> None:
    reads = Reads()
    old = reads.start_round(1, 0)
    reads.add(5, request())
    reads.start_round(1, 1)
    reads.acknowledge(2, old)
    assert reads.confirm(THREE) == []
    assert reads.waiting


def test_what_is_no_round_is_ignored() -> None:
    reads = Reads()
    reads.add(5, request())
    reads.start_round(1, 0)
    reads.acknowledge(2, b"other")
    assert reads.confirm(THREE) == []


def test_both_halves_of_a_joint_configuration_confirm() -> None:
    reads, voters = Reads(), JointConfig(frozenset({1, 2, 3}), frozenset({1, 4, 5}))
    reads.add(5, request())
    context = reads.start_round(1, 0)
    reads.acknowledge(2, context)
    assert reads.confirm(voters) == []
    reads.acknowledge(4, context)
    assert len(reads.confirm(voters)) == 1


def test_a_lease_counts_from_when_its_round_was_sent() -> None:
    reads = Reads()
    context = reads.start_round(1, 10)
    assert reads.lease_start() is None
    reads.start_round(1, 12)
    reads.acknowledge(2, context)
    reads.confirm(THREE)
    assert reads.lease_start() == 10
    reads.lease_void = True
    assert reads.lease_start() is None
