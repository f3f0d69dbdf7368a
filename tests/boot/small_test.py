"""How little memory is enough to reach the login prompt and to work."""

from __future__ import annotations

import pytest

from tests.boot.conftest import Boot, log_in, root, settled


@pytest.mark.parametrize(
    ("direct", "memory"),
    [pytest.param(True, 96, id="direct-96"), pytest.param(False, 128, id="uefi-128")],
)
def test_little_memory(boot: Boot, direct: bool, memory: int) -> None:
    with boot(f"small-{memory}", direct=direct, memory=memory) as machine:
        log_in(machine)
        assert settled(machine) == "running"
        assert "out of memory" not in root(machine, "dmesg").lower()
