"""The window of messages under way, against a plain list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.raft.errors import InvariantError
from services.etcd.raft.tracker import Inflights

steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), st.integers(1, 5), st.integers(0, 50)),
        st.tuples(st.just("free"), st.integers(0, 60), st.just(0)),
        st.tuples(st.just("reset"), st.just(0), st.just(0)),
    ),
    max_size=60,
)


@given(st.integers(1, 8), st.sampled_from((0, 40, 100)), steps)
def test_against_a_list(size: int, limit: int, script: list[tuple[str, int, int]]) -> None:
    window, model, index = Inflights(size, limit), list[tuple[int, int]](), 0
    for what, number, weight in script:
        held = sum(item[1] for item in model)
        full = len(model) >= size or (limit > 0 and held >= limit)
        assert window.full() == full
        if what == "reset":
            window.reset()
            model = []
        elif what == "free":
            window.free_to(number)
            model = [item for item in model if item[0] > number]
        elif full:
            with pytest.raises(InvariantError):
                window.add(index + number, weight)
        else:
            index += number
            window.add(index, weight)
            model.append((index, weight))
        assert len(window) == len(model)
        assert window.bytes == sum(item[1] for item in model)


def test_one_message_may_cross_the_byte_limit() -> None:
    window = Inflights(8, 10)
    window.add(1, 100)
    assert window.full()
    window.free_to(1)
    assert not window.full()
