"""Runs seeds: `python -m services.etcd.raft.sim FIRST:LAST [--ticks N] [--recover-every N]`."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from services.etcd.raft.errors import RaftError
from services.etcd.raft.sim.oracle import SafetyError
from services.etcd.raft.sim.run import run_seed


def main(arguments: list[str]) -> int:
    """Run the seeds asked for; exit code 1 when any fails."""
    parser = argparse.ArgumentParser(prog="sim", description=__doc__)
    parser.add_argument("seeds", help="FIRST:LAST, LAST excluded")
    parser.add_argument("--ticks", type=int, default=100, help="length of the trouble")
    parser.add_argument("--recover-every", type=int, default=10, help="every Nth seed recovers")
    options = parser.parse_args(arguments)
    first, last = map(int, options.seeds.split(":"))
    start, failed, applied, checks = time.monotonic(), 0, 0, 0
    for seed in range(first, last):
        try:
            recover = seed % options.recover_every == 0
            result = run_seed(seed, ticks=options.ticks, recover=recover)
        except (SafetyError, RaftError):
            failed += 1
            traceback.print_exc()
            continue
        applied += result.applied
        checks += result.checks
    seconds = time.monotonic() - start
    counts = f"{last - first} seeds, {failed} failed, {applied} entries, {checks} checks"
    print(f"{counts}, {seconds:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
