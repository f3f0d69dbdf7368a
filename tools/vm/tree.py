"""The tools tree of the lock's package set `vm`, made when it is first asked for."""

from __future__ import annotations

from pathlib import Path

from tools.debian import fetch, lock, toolstree
from tools.workspace import store_dir

# Beside our own sources, wherever they are: tests run in a copy of part of the repository.
LOCK = Path(__file__).resolve().parents[2] / "os/packages/packages.lock"
SET = "vm"


def materialised(
    lock_file: Path | None = None,
    store: Path | None = None,
    progress: fetch.ProgressCallback | None = None,
) -> Path:
    """The root of the tree; fetches packages into the store and unpacks them if need be.

    Raises:
        DebianError: a package cannot be had or unpacked.
    """
    packages = lock.load(lock_file or LOCK).subset(SET)
    return toolstree.materialise(packages, store or store_dir(), progress)
