"""What `./strake lock` and `./strake mirror` do, without the command line around it.

Each function takes the repository's root and the store, reports through callbacks, returns
a value that says what happened, and raises nothing but `DebianError` and `ProgramError`.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tools.debian import archive, fetch, mirrors, resolve, settings, toolstree
from tools.debian import lock as locks
from tools.debian import sync as syncing
from tools.debian import wanted as wishes
from tools.debian.errors import DebianError, LockError, MirrorError, ResolveError
from tools.debian.lock import Change, Lock, LockedPackage
from tools.debian.store import explained
from tools.debian.transport import Transport

Note = Callable[[str], None]
"""Called with a few words at the start of each part of the work."""

_ASKERS = 16
_PROGRAMS = {"apt-get": "usr/bin/apt-get", "gpgv": "usr/bin/gpgv"}


def wanted_path(root: Path) -> Path:
    """The file of wanted packages."""
    return root / "os" / "packages" / "packages.toml"


def lock_path(root: Path) -> Path:
    """The lock file."""
    return root / "os" / "packages" / "packages.lock"


def key_paths(root: Path) -> tuple[Path, ...]:
    """The pinned archive keys. Raises LockError when there is none."""
    keys = tuple(sorted((root / "os" / "packages" / "keys").glob("*.asc")))
    if not keys:
        raise LockError("no archive key in os/packages/keys", "restore them from version control")
    return keys


@dataclass(frozen=True, slots=True)
class Locked:
    """A new lock, what it changes, and the mirror it was made from."""

    lock: Lock
    changes: tuple[Change, ...]
    mirror: str
    solver: str


def lock(
    root: Path,
    store: Path,
    note: Note = lambda _: None,
    progress: fetch.ProgressCallback | None = None,
    *,
    env: Mapping[str, str] = os.environ,
    now: datetime | None = None,
) -> Locked:
    """Resolve all sets against what the mirror has now, and write the lock.

    Raises:
        SignatureError: an index is not what a pinned key signed.
        ResolveError: the wanted packages cannot be installed, or there is no apt.
        MirrorError, LockError, StoreError: as their names say.
    """
    wanted = wishes.load(wanted_path(root))
    choice = mirrors.choose_debian(store, env)
    mirror = choice.debian
    if mirror is None:
        raise MirrorError(f"{choice.origin} names no Debian mirror", "set STRAKE_DEBIAN_MIRROR")
    before = _current(root)
    note("getting apt and gpgv")
    programs = _programs(before, store, progress, env)
    transport = Transport(settings.network(store, env))
    moment = now or datetime.now(UTC)
    indices = [
        archive.fetch_suite(
            suite,
            mirror,
            transport,
            store,
            key_paths(root),
            moment,
            gpgv=programs["gpgv"],
            note=note,
        )
        for suite in wanted.suites
    ]
    with tempfile.TemporaryDirectory(prefix="strake-apt-") as name:
        packages = resolve.resolve(
            wanted, indices, Path(name), apt_get=programs["apt-get"], note=note
        )
    after = Lock(
        epoch=max(index.locked.date for index in indices),
        suites=tuple(index.locked for index in indices),
        packages=packages,
        wanted={item.name: item.digest for item in wanted.sets},
    )
    _write(lock_path(root), locks.dump(after))
    empty = Lock(0, (), (), {})
    return Locked(
        after,
        locks.changes(before or empty, after),
        mirror.debian,
        programs["apt-get"][-1],
    )


@dataclass(frozen=True, slots=True)
class Checked:
    """What a check found: entries no mirror has any more, and sets that were edited since."""

    total: int
    gone: tuple[LockedPackage, ...]
    stale: tuple[str, ...]
    origin: str

    @property
    def exit_code(self) -> int:
        """1 when anything is gone or stale, else 0."""
        return 1 if self.gone or self.stale else 0

    def lines(self) -> list[str]:
        """One line for each finding."""
        lost = [f"gone from the mirror: {item.name} {item.version}" for item in self.gone]
        edited = [f"set {name} was edited after it was locked" for name in self.stale]
        return lost + edited


def check(
    root: Path,
    store: Path,
    progress: fetch.ProgressCallback | None = None,
    *,
    env: Mapping[str, str] = os.environ,
) -> Checked:
    """Ask the mirrors for every entry of the lock, without fetching any.

    Raises:
        MirrorError: no mirror is known or it does not answer.
        LockError: the lock or the wishes are not well formed.
    """
    current = locks.load(lock_path(root))
    stale = wishes.load(wanted_path(root)).stale(current.wanted)
    choice = mirrors.choose(store, env)
    transport = Transport(settings.network(store, env))

    def absent(package: LockedPackage) -> bool:
        urls = (mirror.package_url(package) for mirror in choice.mirrors)
        return not any(transport.exists(url) in (package.size, -1) for url in urls)

    gone = []
    with ThreadPoolExecutor(_ASKERS, "check") as pool:
        answers = pool.map(absent, current.packages)
        for done, (package, lost) in enumerate(zip(current.packages, answers, strict=True), 1):
            if lost:
                gone.append(package)
            if progress is not None:
                progress(fetch.Progress(package.name, done, len(current.packages), 0, 0))
    return Checked(len(current.packages), tuple(gone), stale, choice.origin)


def sync(
    root: Path,
    store: Path,
    directory: Path,
    progress: fetch.ProgressCallback | None = None,
    *,
    env: Mapping[str, str] = os.environ,
) -> syncing.Synced:
    """Copy everything the lock names into a content-addressed directory.

    Raises:
        LockError, MirrorError, PackageError, StoreError: as their names say.
    """
    current = locks.load(lock_path(root))
    return syncing.sync(current.packages, directory.absolute(), store, progress, env=env)


def _current(root: Path) -> Lock | None:
    """The lock as it is; None when there is none or it is of no use, as `lock` mends that."""
    try:
        return locks.load(lock_path(root))
    except LockError:
        return None


def _programs(
    current: Lock | None,
    store: Path,
    progress: fetch.ProgressCallback | None,
    env: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """apt-get and gpgv: the locked ones, so that everybody resolves alike, else the host's."""
    reason = "the lock has no set resolve"
    try:
        if current is not None and "resolve" in current.sets:
            tree = toolstree.materialise(current.subset("resolve"), store, progress, env=env)
            return {name: toolstree.program(tree, path) for name, path in _PROGRAMS.items()}
    except DebianError as error:
        reason = error.message
    if lost := sorted(name for name in _PROGRAMS if shutil.which(name) is None):
        raise ResolveError(
            f"no {lost[0]}: {reason}, and this host has none",
            "take os/packages/packages.lock from version control, or install apt and gpgv",
        )
    return {name: (name,) for name in _PROGRAMS}


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    with explained(path):
        fresh.write_text(text, "utf-8")
        os.replace(fresh, path)
