"""A second machine, with an empty store of its own, takes steps from the shared cache."""

from __future__ import annotations

from pathlib import Path

from tests.graph.tree import plant
from tests.remote.buildgrid import serve


def test_a_second_machine_builds_nothing_again(tmp_path: Path) -> None:
    for name in ("server", "one", "two"):
        (tmp_path / name).mkdir()
    first, second = plant(tmp_path / "one"), plant(tmp_path / "two")
    with serve(Path("tests.remote/buildgrid.pex"), tmp_path / "server") as address:
        remote = (
            "--remote-cache-read",
            "--remote-cache-write",
            f"--remote-store-address={address}",
            "--stats-log",
        )
        first.pants(*remote, "package", "demo:first", "demo:second")
        done = second.pants(*remote, "package", "demo:first", "demo:second")
    for step in ("first", "second"):
        assert first.record(step)["made"] == second.record(step)["made"], step
    assert "remote_cache_requests_cached: 2" in done.text + done.stderr.decode()
