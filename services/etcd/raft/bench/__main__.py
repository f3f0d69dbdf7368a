"""Prints proposals per second for several batch sizes and group sizes."""

from __future__ import annotations

import platform
import time

from services.etcd.raft.bench.group import Group

_PAYLOAD = bytes(256)
_SECONDS = 1.0


def _rates(size: int, batch: int, *, threads: bool) -> tuple[float, float]:
    """Proposals per second of the leader's core alone, and of all members in one process."""
    group = Group(size, threads=threads)
    data = [_PAYLOAD] * batch
    group.leader.busy = 0.0
    start = now = time.process_time()
    count = 0
    while now - start < _SECONDS:
        group.propose(*data)
        count += batch
        now = time.process_time()
    assert group.leader.applied >= count
    return count / group.leader.busy, count / (now - start)


def main() -> None:
    """Measure and print the table."""
    print(f"CPython {platform.python_version()}, payload {len(_PAYLOAD)} bytes, proposals/s")
    print(f"{'nodes':>5} {'storage':>8} {'batch':>6} {'leader core':>12} {'all in one':>12}")
    for size in (1, 3, 5):
        for threads in (False, True):
            for batch in (1, 16, 64, 256):
                leader, total = _rates(size, batch, threads=threads)
                storage = "async" if threads else "sync"
                print(f"{size:5} {storage:>8} {batch:6} {leader:12,.0f} {total:12,.0f}")


if __name__ == "__main__":
    main()
