"""The log against a plain list of terms, under any order of writes and confirmations."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.raft.errors import CompactedError, InvariantError, UnavailableError
from services.etcd.raft.log import Log
from services.etcd.raft.model import NO_LIMIT, ConfState, Entry, EntryType, Snapshot
from services.etcd.raft.sizes import entries_size, entry_size, limit_size, payload_size
from services.etcd.raft.storage import MemoryStorage

entries = st.lists(
    st.builds(
        Entry,
        st.integers(0, 1 << 40),
        st.integers(0, 1 << 40),
        st.sampled_from(EntryType),
        st.binary(max_size=200),
    ),
    max_size=12,
)


def make(index: int, terms: list[int]) -> list[Entry]:
    """Consecutive entries from `index`."""
    return [Entry(term, at, data=b"x") for at, term in enumerate(terms, index)]


class Model:
    """A log, its storage, and the list it must behave like. Indexes of the list count from 1."""

    def __init__(self) -> None:
        self.storage = MemoryStorage()
        self.log = Log(self.storage)
        self.terms: list[int] = []
        self.term = 1

    def append(self, count: int) -> None:
        new = make(len(self.terms) + 1, [self.term] * count)
        self.log.append(new)
        self.terms += [self.term] * count

    def overwrite(self, back: int) -> None:
        self.term += 1
        start = max(self.log.committed, len(self.terms) - back)
        self.terms = self.terms[:start]
        self.append(1)

    def write(self, confirm: int) -> None:
        new = self.log.unstable.next_entries()
        self.log.unstable.accept()
        self.storage.append(new)
        if confirm and new:
            self.log.unstable.stable_to(new[-1].index, new[-1].term)

    def commit(self, forward: int) -> None:
        self.log.commit_to(min(len(self.terms), self.log.committed + forward))

    def apply(self, _: int) -> None:
        committed = self.log.next_committed(allow_unstable=True)
        if committed:
            self.log.accept_applying(committed, allow_unstable=True)
            self.log.applied_to(committed[-1].index, committed)

    def compact(self, back: int) -> None:
        index = min(self.log.applied, self.storage.last_index(), self.log.unstable.offset - 1)
        if index - back > self.storage.first_index():
            self.storage.compact(index - back)

    def check(self) -> None:
        log, first = self.log, self.log.first_index()
        assert log.last_index() == len(self.terms)
        for index in range(first, len(self.terms) + 1):
            assert log.term(index) == self.terms[index - 1]
        assert log.term(len(self.terms) + 1) is None
        assert first < 3 or log.term(first - 2) is None
        found = log.entries(first, NO_LIMIT)
        assert found is not None
        assert [entry.term for entry in found] == self.terms[first - 1 :]
        assert log.applied <= log.applying <= log.committed <= log.last_index()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("append", "overwrite", "write", "commit", "apply", "compact")),
            st.integers(0, 4),
        ),
        max_size=30,
    )
)
def test_against_a_list(script: list[tuple[str, int]]) -> None:
    model = Model()
    for what, number in script:
        getattr(model, what)(number)
        model.check()


@given(
    st.lists(st.integers(1, 4), max_size=8).map(sorted),
    st.lists(st.integers(1, 4), min_size=1, max_size=8).map(sorted),
    st.integers(0, 8),
)
def test_accepted_entries_make_the_logs_equal(
    ours: list[int], theirs: list[int], start: int
) -> None:
    start = min(start, len(theirs))
    log = Log(MemoryStorage())
    log.append(make(1, ours))
    before_term = theirs[start - 1] if start else 0
    sent = make(start + 1, theirs[start:])
    matches = start <= len(ours) and (start == 0 or ours[start - 1] == before_term)
    last = log.accept_append(start, before_term, sent, 0)
    assert (last is not None) == matches
    if last is not None:
        assert last == len(theirs)
        assert [log.term(index) for index in range(start + 1, last + 1)] == theirs[start:]


@given(
    st.lists(st.integers(1, 4), max_size=8).map(sorted),
    st.lists(st.integers(1, 4), max_size=8).map(sorted),
)
def test_a_hint_never_skips_a_match(ours: list[int], theirs: list[int]) -> None:
    log = Log(MemoryStorage())
    log.append(make(1, ours))
    asked = len(theirs)
    hint, _ = log.probe_conflict(min(asked, len(ours)), theirs[-1] if theirs else 0)
    common = 0
    while common < min(len(ours), len(theirs)) and ours[common] == theirs[common]:
        common += 1
    assert hint >= common


def test_a_committed_entry_cannot_change() -> None:
    log = Log(MemoryStorage())
    log.append(make(1, [1, 1]))
    log.commit_to(2)
    with pytest.raises(InvariantError):
        log.accept_append(1, 1, make(2, [2]), 2)
    with pytest.raises(InvariantError):
        log.commit_to(3)


def test_only_stable_entries_are_applied_with_async_storage() -> None:
    log = Log(MemoryStorage())
    log.append(make(1, [1, 1]))
    log.commit_to(2)
    assert log.next_committed(allow_unstable=False) == ()
    assert len(log.next_committed(allow_unstable=True)) == 2


def test_what_is_being_applied_is_bounded() -> None:
    log = Log(MemoryStorage(), max_applying=2 * entry_size(Entry(1, 1, data=b"x")))
    log.append(make(1, [1] * 5))
    log.commit_to(5)
    batch = log.next_committed(allow_unstable=True)
    assert [entry.index for entry in batch] == [1, 2]
    log.accept_applying(batch, allow_unstable=True)
    assert log.next_committed(allow_unstable=True) == ()
    log.applied_to(2, batch)
    assert [entry.index for entry in log.next_committed(allow_unstable=True)] == [3, 4]


def test_an_old_confirmation_does_not_drop_new_entries() -> None:
    log = Log(MemoryStorage())
    log.append(make(1, [1, 1]))
    log.unstable.accept()
    log.append(make(2, [2]))
    assert not log.unstable.stable_to(2, 1)
    assert log.unstable.next_entries() == (Entry(2, 2, data=b"x"),)


def test_a_snapshot_replaces_everything() -> None:
    log = Log(MemoryStorage())
    log.append(make(1, [1, 1]))
    log.restore(Snapshot(b"", ConfState((1,)), 7, 3))
    assert (log.first_index(), log.last_index(), log.committed) == (8, 7, 7)
    assert log.last_id() == (3, 7)
    assert not log.has_committed(allow_unstable=True)
    log.unstable.stable_snapshot_to(7)
    assert log.unstable.snapshot is None


def test_storage_answers_outside_of_its_range() -> None:
    storage = MemoryStorage()
    storage.append(make(1, [1, 2, 3]))
    storage.compact(2)
    assert (storage.first_index(), storage.term(2), storage.term(3)) == (3, 2, 3)
    with pytest.raises(CompactedError):
        storage.term(1)
    with pytest.raises(UnavailableError):
        storage.term(4)
    with pytest.raises(CompactedError):
        storage.entries(2, 4, NO_LIMIT)
    with pytest.raises(InvariantError):
        storage.append(make(6, [3]))
    storage.append(make(1, [9, 9]))  # all of it is compacted
    assert storage.last_index() == 3


@given(entries)
def test_sizes_add_up(values: list[Entry]) -> None:
    assert entries_size(values) == sum(map(entry_size, values))
    assert payload_size(values) == sum(len(entry.data) for entry in values)


@given(entries, st.integers(0, 600))
def test_limit_takes_the_longest_prefix_that_fits(values: list[Entry], limit: int) -> None:
    taken = limit_size(values, limit)
    assert taken == values[: len(taken)]
    assert len(taken) >= min(1, len(values))
    assert len(taken) <= 1 or entries_size(taken) <= limit
    assert len(taken) == len(values) or entries_size(values[: len(taken) + 1]) > limit
