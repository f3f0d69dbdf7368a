"""`./strake reproduce`: prove that two varied builds of a target give the same bits."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import click

from tools import reproduce as builds
from tools.cli.progress import spinner
from tools.debian import lock, toolstree
from tools.workspace import cache_dir, repo_root, store_dir

_SHOWN_LINES = 60


@click.command()
@click.argument("target", default="os/image:strake")
@click.option("--json", "as_json", is_flag=True, help="Print the comparison as JSON.")
@click.option("--keep", is_flag=True, help="Keep both builds to look at.")
def reproduce(target: str, as_json: bool, keep: bool) -> None:
    """Build TARGET twice, varied and from empty caches, and compare every artifact.

    The second build runs in another directory, with another umask, time zone, locale, host
    name, user number and home, on one processor. Exit status 0 when all artifacts are
    identical; otherwise 1, and diffoscope shows what differs.

    A whole image takes the time of two cold builds, one of them on a single processor.
    """
    root, store = repo_root(), store_dir()
    work = cache_dir() / "reproduce" / target.replace("/", ".").replace(":", "-")
    shutil.rmtree(work, ignore_errors=True)
    dists = [_build(target, variation, root, work) for variation in builds.VARIATIONS]
    rows = builds.compare(*dists)
    if as_json:
        click.echo(json.dumps([_as_json(row) for row in rows], indent=2))
    else:
        _print_table(rows)
    different = [row for row in rows if not row.same]
    for row in different:
        _explain(row, dists, root, store, work)
    if different:
        click.echo(f"error: {len(different)} of {len(rows)} artifacts differ", err=True)
        click.echo(f"hint: both builds are kept in {work}", err=True)
        sys.exit(1)
    if not keep:
        shutil.rmtree(work, ignore_errors=True)


def _build(target: str, variation: builds.Variation, root: Path, work: Path) -> Path:
    text = f"{variation.name} build: umask {variation.umask:03o}, {variation.timezone}, "
    text += f"{variation.locale}, {variation.cpus or 'all'} processors"
    log = work / f"{variation.name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with spinner(text), log.open("w", buffering=1) as file:
        return builds.build_varied(
            target, variation, root, work, lambda line: print(line, file=file)
        )


def _as_json(row: builds.Comparison) -> dict[str, object]:
    return {
        "path": row.path,
        "size": row.size,
        "first": row.first,
        "second": row.second,
        "same": row.same,
    }


def _print_table(rows: tuple[builds.Comparison, ...]) -> None:
    width = max((len(row.path) for row in rows), default=8)
    click.echo(f"{'artifact':<{width}}  {'bytes':>12}  {'sha256':<64}  reproduced")
    for row in rows:
        mark = "yes" if row.same else f"NO: {row.second or 'missing'}"
        click.echo(f"{row.path:<{width}}  {row.size:>12}  {row.first or 'missing':<64}  {mark}")


def _explain(
    row: builds.Comparison, dists: list[Path], root: Path, store: Path, work: Path
) -> None:
    first, second = (dist / row.path for dist in dists)
    if not (first.exists() and second.exists()):
        return
    packages = lock.load(root / "os/packages/packages.lock").subset("diff")
    tree = toolstree.materialise(packages, store, lambda _: None)
    report = work / f"{row.path.replace('/', '.')}.diff.txt"
    lines = builds.explain(first, second, tree, report).splitlines()
    click.echo("\n".join(lines[:_SHOWN_LINES]))
    if len(lines) > _SHOWN_LINES:
        click.echo(f"… {len(lines) - _SHOWN_LINES} more lines in {report}")
