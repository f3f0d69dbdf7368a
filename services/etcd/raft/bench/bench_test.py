"""The benchmark must run what it claims to run."""

from __future__ import annotations

import pytest

from services.etcd.raft.bench.group import Group


@pytest.mark.parametrize("threads", [False, True])
@pytest.mark.parametrize("size", [1, 3])
def test_everybody_applies_every_proposal(size: int, threads: bool) -> None:
    group = Group(size, threads=threads)
    for _ in range(5):
        group.propose(b"x", b"y")
    # One entry more than proposed: the leader's first.
    assert [member.applied for member in group.members] == [11] * size
    assert group.leader.busy > 0
