"""The slow tier: ten thousand seeds, each short. About five minutes on one core."""

from __future__ import annotations

import pytest

from services.etcd.raft.sim.run import run_seed

SEEDS = 10_000
GROUPS = 100


@pytest.mark.parametrize("group", range(GROUPS))
def test_seeds(group: int) -> None:
    for seed in range(group, SEEDS, GROUPS):
        run_seed(seed, ticks=60, recover=seed % 20 == 0)
