"""A mirror of one's own: every file the lock names, by hash, in a directory.

Such a directory, or a web server before it, is all a build needs (`STRAKE_MIRROR`): it works
offline, and it outlives Debian's removal of superseded packages. Files of other locks stay:
one directory serves every release that was ever synced to it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.debian import fetch, mirrors, settings
from tools.debian import store as stores
from tools.debian.errors import StoreError
from tools.debian.lock import LockedPackage
from tools.debian.transport import Transport


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync did. Counts packages; `bytes` is what the lock's packages take in all."""

    total: int
    kept: int
    copied: int
    fetched: int
    mended: tuple[str, ...]
    bytes: int

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return {
            "total": self.total,
            "kept": self.kept,
            "copied": self.copied,
            "fetched": self.fetched,
            "mended": list(self.mended),
            "bytes": self.bytes,
        }

    def __str__(self) -> str:
        mended = f", {len(self.mended)} damaged replaced" if self.mended else ""
        return (
            f"{self.total} packages, {self.bytes / 1e6:.0f} MB: {self.kept} were there,"
            f" {self.copied} copied, {self.fetched} fetched{mended}"
        )


def sync(
    packages: Iterable[LockedPackage],
    directory: Path,
    store: Path,
    progress: fetch.ProgressCallback | None = None,
    *,
    choice: mirrors.Choice | None = None,
    env: Mapping[str, str] = os.environ,
) -> Synced:
    """Fill a directory with the packages, verifying every file that is there already.

    Raises:
        MirrorError: no mirror is known or none answers.
        PackageError: a package is not on the mirror, or is not what the lock says.
        StoreError: the directory cannot be written.
    """
    wanted = sorted(packages, key=lambda package: package.name)
    with stores.explained(directory / "sha256"):
        (directory / "sha256").mkdir(parents=True, exist_ok=True)
    targets = {item.name: directory / stores.content_path(item.sha256) for item in wanted}
    with ThreadPoolExecutor(fetch.WORKERS, "verify") as pool:
        whole = list(pool.map(lambda item: stores.holds(targets[item.name], item), wanted))
    missing = [item for item, good in zip(wanted, whole, strict=True) if not good]
    damaged = [item for item in missing if targets[item.name].exists()]
    for package in damaged:
        with stores.explained(targets[package.name]):
            targets[package.name].unlink()
    left = [item for item in missing if not _copy(item, store, targets[item.name])]
    if left:
        chosen = choice or mirrors.choose(store, env)
        transport = Transport(settings.network(store, env))
        fetch.fetch_all(left, targets, chosen, transport, progress)
    return Synced(
        total=len(wanted),
        kept=len(wanted) - len(missing),
        copied=len(missing) - len(left),
        fetched=len(left),
        mended=tuple(package.name for package in damaged),
        bytes=sum(package.size for package in wanted),
    )


def _copy(package: LockedPackage, store: Path, target: Path) -> bool:
    """Copy a package that the store has; False when it has none that is whole."""
    source = stores.blob_path(store, package.sha256)
    if not stores.holds(source, package):
        return False
    with stores.partial(target, package.sha256) as file:
        try:
            with stores.explained(target), source.open("rb") as content:
                file.truncate(0)
                while data := content.read(stores.CHUNK):
                    file.write(data)
        except StoreError:
            stores.discard(file)
            raise
        stores.publish(file, target)
    return True
