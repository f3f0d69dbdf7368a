"""Load by h2load, and what a process used meanwhile."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from tools.proc import run

SHAPES = {1: (1, 1), 16: (4, 4), 64: (8, 8), 256: (16, 16)}
"""Connections and streams of each by streams in total."""

_FINISHED = re.compile(r"finished in [\d.]+\w+, ([\d.]+) req/s")
_DONE = re.compile(r"(\d+) succeeded, (\d+) failed, (\d+) errored")
_REQUEST = b"\x0a\x13/bench/key-00000001\x12\x80\x02" + b"v" * 256


@dataclass(frozen=True, slots=True)
class Sample:
    """One run against one server."""

    per_second: float
    cpu_us: float
    """CPU microseconds of the server per call."""
    failed: int


def write_request(directory: Path) -> Path:
    """A put of a 19-byte key and a 256-byte value, as a gRPC message."""
    path = directory / "put.bin"
    path.write_bytes(b"\0" + len(_REQUEST).to_bytes(4, "big") + _REQUEST)
    return path


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(url: str, body: Path, streams: int, seconds: int, pid: int) -> Sample:
    """Load a server for a while.

    Raises tools.proc.ProgramError: h2load is missing or failed.
    """
    connections, each = SHAPES[streams]
    before = cpu_seconds(pid)
    text = run(
        [
            "h2load",
            f"--duration={seconds}",
            f"--clients={connections}",
            f"--max-concurrent-streams={each}",
            f"--data={body}",
            "--header=content-type: application/grpc",
            "--header=te: trailers",
            url,
        ],
        timeout=seconds + 60,
    ).text
    used = cpu_seconds(pid) - before
    rate, done = _FINISHED.search(text), _DONE.search(text)
    if rate is None or done is None:
        return Sample(0.0, 0.0, 1)
    good = int(done[1])
    return Sample(float(rate[1]), used / max(good, 1) * 1e6, int(done[2]) + int(done[3]))
