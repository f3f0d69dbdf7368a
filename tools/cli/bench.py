"""`./strake bench`: measure, and print a table with the numbers to beat beside it."""

from __future__ import annotations

import json
import sys

import click

from tools.bench import Row, builds, table
from tools.workspace import cache_dir, repo_root


@click.group()
def bench() -> None:
    """Measure something, several times, and print medians.

    Exit status 1 when a limit is not kept. Run it on a machine that does nothing else.
    """


@bench.command()
@click.option("--cold", is_flag=True, help="Also build from empty caches (20 minutes).")
@click.option("--boots", default=5, show_default=True, type=click.IntRange(1), help="Boots each.")
@click.option("--skip-builds", is_flag=True, help="Only boot what is built.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def image(cold: bool, boots: int, skip_builds: bool, as_json: bool) -> None:
    """Build times, boot times under emulation, memory when idle, and sizes.

    \b
    ./strake bench image
    ./strake bench image --cold
    """
    from tools.cli.boot import image_dir, machine_programs
    from tools.cli.build import IMAGE, run_build
    from tools.vm import bench as vm_bench

    root, work = repo_root(), cache_dir() / "bench"
    rows: list[Row] = []
    directory = image_dir(run_build(IMAGE).artifacts)
    if not skip_builds:
        rows += builds.warm(root, work, _say)
    if cold:
        rows += builds.cold(root, work, _say)
    rows += vm_bench.rows(directory, machine_programs(), boots, _say)
    if as_json:
        click.echo(json.dumps([row.as_dict() for row in rows], indent=2))
    else:
        click.echo(table(rows))
    sys.exit(1 if any(row.met is False for row in rows) else 0)


def _say(text: str) -> None:
    click.echo(text, err=True)
