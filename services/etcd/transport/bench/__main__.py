"""The command line of the comparison."""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from statistics import median

import click

from services.etcd.transport.bench.load import SHAPES, Sample, measure, write_request
from services.etcd.transport.bench.servers import PATH, SERVERS
from tools.errors import StrakeError


@dataclass(frozen=True, slots=True)
class Running:
    """A server's process."""

    process: BaseProcess
    port: int


def start(name: str, stack: ExitStack) -> Running:
    """Start a server; the stack ends it."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=SERVERS[name], args=(there,), daemon=True)
    process.start()
    stack.callback(process.terminate)
    return Running(process, int(here.recv()))


def row(name: str, streams: int, samples: list[Sample], base: float) -> str:
    """One line of the table."""
    rate = median(s.per_second for s in samples)
    cpu = median(s.cpu_us for s in samples)
    failed = sum(s.failed for s in samples)
    ratio = f"{rate / base:6.1f}" if base else "     -"
    return f"{streams:7d}  {name:20s} {rate:10.0f} {ratio} {cpu:9.1f} {failed:7d}"


@click.command()
@click.option("--seconds", default=2, help="Length of one run.")
@click.option("--rounds", default=3, help="Runs of each server at each number of streams.")
@click.option("--streams", "wanted", multiple=True, type=click.Choice([str(n) for n in SHAPES]))
@click.option("--server", "names", multiple=True, type=click.Choice(list(SERVERS)))
def main(seconds: int, rounds: int, wanted: tuple[str, ...], names: tuple[str, ...]) -> None:
    """Unary echo calls per second: this transport beside others, in one run."""
    shapes = [int(n) for n in wanted] or list(SHAPES)
    chosen = list(names) or list(SERVERS)
    print("streams  server                 calls/s  ratio  CPU µs/c  failed")
    with ExitStack() as stack:
        body = write_request(Path(stack.enter_context(tempfile.TemporaryDirectory())))
        servers = {name: start(name, stack) for name in chosen}
        for streams in shapes:
            samples: dict[str, list[Sample]] = {name: [] for name in chosen}
            for _ in range(rounds):
                for name, server in servers.items():
                    url = f"http://127.0.0.1:{server.port}{PATH}"
                    pid = server.process.pid or 0
                    samples[name].append(measure(url, body, streams, seconds, pid))
            others = samples.get("grpc.aio", [])
            base = median(s.per_second for s in others) if others else 0.0
            for name in chosen:
                print(row(name, streams, samples[name], base), flush=True)


if __name__ == "__main__":
    try:
        main(standalone_mode=False)
    except StrakeError as error:
        print(error.render(), file=sys.stderr)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
