"""The quick tier of seeds, and proof that the oracle sees what it is there to see."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from services.etcd.raft import core, leader, read_index
from services.etcd.raft.errors import RaftError
from services.etcd.raft.log import Log
from services.etcd.raft.model import Entry, Message, MessageType
from services.etcd.raft.sim.disk import Disk, Write
from services.etcd.raft.sim.oracle import Oracle, SafetyError
from services.etcd.raft.sim.run import run_seed
from services.etcd.raft.storage import MemoryStorage

QUICK_SEEDS = 200
GROUPS = 10


@pytest.mark.parametrize("group", range(GROUPS))
def test_seeds(group: int) -> None:
    results = [
        run_seed(seed, ticks=80, recover=seed % 4 == 0)
        for seed in range(group, QUICK_SEEDS, GROUPS)
    ]
    assert sum(result.applied for result in results) > 10 * len(results)


def test_a_seed_fixes_the_run() -> None:
    assert run_seed(7, ticks=60, recover=True) == run_seed(7, ticks=60, recover=True)


def _commit_without_quorum(patch: pytest.MonkeyPatch) -> None:
    def commit(log: Log, index: int, term: int) -> bool:
        before = log.committed
        log.commit_to(log.last_index())
        return log.committed > before

    patch.setattr(Log, "maybe_commit", commit)


def _vote_twice(patch: pytest.MonkeyPatch) -> None:
    honest = core._COMMON[MessageType.VOTE]

    def vote(r: core.Raft, message: Message) -> None:
        r.vote = 0
        honest(r, message)

    patch.setitem(core._COMMON, MessageType.VOTE, vote)


def _keep_conflicts(patch: pytest.MonkeyPatch) -> None:
    def first_new(log: Log, entries: list[Entry]) -> int:
        return min(len(entries), log.last_index() - entries[0].index + 1)

    patch.setattr(Log, "_first_new", first_new)


def _answer_before_sync(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(core, "_DEFERRED", frozenset())


def _read_without_quorum(patch: pytest.MonkeyPatch) -> None:
    def answer(r: core.Raft, message: Message) -> None:
        read_index._answer(r, message, r.log.committed)

    patch.setitem(leader._HANDLERS, MessageType.READ_INDEX, answer)


@pytest.mark.parametrize(
    "sabotage",
    [
        _commit_without_quorum,
        _vote_twice,
        _keep_conflicts,
        _answer_before_sync,
        _read_without_quorum,
    ],
)
def test_broken_rules_are_noticed(
    sabotage: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    with pytest.raises((SafetyError, RaftError)) as caught:
        _run_all()
    assert "seed" in caught.value.__notes__[0]


def _run_all() -> None:
    for seed in range(QUICK_SEEDS):
        run_seed(seed, ticks=80, recover=False)


def test_oracle_knows_entries_by_index_and_term() -> None:
    oracle = Oracle()
    oracle.wrote(1, [Entry(2, 5, data=b"a")])
    oracle.wrote(1, [Entry(2, 5, data=b"a")])
    with pytest.raises(SafetyError, match="log matching"):
        oracle.wrote(2, [Entry(2, 5, data=b"a")])


def test_oracle_compares_what_is_applied() -> None:
    oracle = Oracle()
    oracle.applied(1, Entry(1, 2))
    with pytest.raises(SafetyError, match="state machine"):
        oracle.applied(2, Entry(2, 2))


def test_a_crash_loses_what_waits_but_nothing_that_was_synced() -> None:
    lost = 0
    for seed in range(50):
        disk = Disk(MemoryStorage().snapshot())
        disk.submit(Write([Entry(1, 1)], None, None, sync=True))
        disk.complete()
        disk.submit(Write([Entry(1, 2), Entry(1, 3)], None, None, sync=True))
        disk.crash(Random(seed))
        assert 1 <= disk.storage.last_index() <= 3
        lost += disk.storage.last_index() < 3
    assert 0 < lost < 50
