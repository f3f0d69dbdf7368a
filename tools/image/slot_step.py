"""Step: root.tar → root.slot, what a root partition holds: erofs with its verity tree.

Inputs: `tree` (outputs of tree_step), `layout.toml`. Outputs: root.slot; slot.json with
everything the kernel command line and the updater need.

The level of compression is chosen by measurement: lz4hc level 6 takes half the time of
level 9 and gives 0.5 % more bytes; level 12 takes three times that of 9 for 0.4 % less.
Files lie in the order of their paths, so that releases that differ little have images
that differ little.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from tools.image import derive, layout, verity
from tools.image.errors import ImageError
from tools.proc import run
from tools.sandbox import guest

COMPRESSION = "lz4hc,6"
CLUSTER = 65536
"""Bytes compressed at a time: more reads too much for a page, less compresses worse."""


def build(step: guest.Step) -> None:
    """Make root.slot and slot.json."""
    plan = layout.load(step.inputs["layout.toml"])
    slot = step.out / "root.slot"
    guest.progress("compress the root file system")
    make_erofs(step.inputs["tree"] / "root.tar", slot, plan.seed, step.epoch, step.jobs)
    erofs_bytes = slot.stat().st_size
    salt = derive.digest(plan.seed, "verity salt")
    found = verity.append(slot, salt, derive.uuid(plan.seed, "verity"))
    size = slot.stat().st_size
    _check_size(size, plan)
    guest.progress(f"root slot: {size / 1e6:.1f} MB, root hash {found.root_hash[:16]}…")
    facts = {
        "version": 1,
        "root_hash": found.root_hash,
        "salt": found.salt,
        "partition_uuid": str(found.partition_uuid),
        "data_blocks": found.data_blocks,
        "hash_start": found.hash_start,
        "block_size": verity.BLOCK,
        "erofs_bytes": erofs_bytes,
        "bytes": size,
    }
    (step.out / "slot.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def make_erofs(tar: Path, image: Path, seed: str, epoch: int, jobs: int) -> None:
    """A compressed erofs of a tar archive; `jobs` does not change its bits."""
    run(
        [
            "mkfs.erofs",
            "--quiet",
            f"-T{epoch}",
            "--all-time",
            f"-U{derive.uuid(seed, 'erofs')}",
            f"-z{COMPRESSION}",
            f"-C{CLUSTER}",
            "-Eztailpacking",
            f"--workers={max(1, jobs)}",
            "--tar=f",
            "--sort=path",
            os.fspath(image),
            os.fspath(tar),
        ]
    )


def _check_size(size: int, plan: layout.Layout) -> None:
    room = min(part.bytes for part in plan.partitions if part.content in ("root", "spare"))
    if size > room:
        raise ImageError(
            f"the root slot has {size} bytes, its partition {room}",
            "make the image smaller; partitions of machines in the field cannot grow",
        )
    if size > plan.slot_budget:
        raise ImageError(
            f"the root slot has {size} bytes, more than its budget of {plan.slot_budget}",
            "find what grew with `strake diff`, or raise slot_budget_mb in os/image/layout.toml",
        )


if __name__ == "__main__":
    guest.main(build)
