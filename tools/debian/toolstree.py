"""Tools trees: a set of packages laid out once, read-only, to be the root of a sandbox.

A tree lies at `tools/<digest>` in the store, where the digest names its packages and the
way trees are made, so that it never changes. `<digest>.ok` says that it is whole and
`<digest>.manifest` what is in it. A tree without its mark does not exist: one that was
being made when somebody pressed Ctrl-C is thrown away by whoever comes next.

Nothing is synced to disk while a tree is made, since tens of thousands of small files would
take minutes. The mark carries the machine's boot id instead: after a reboot, when a power
cut may have eaten what was never written, the tree is hashed once before it is used again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tools.debian import fetch, layout, manifest
from tools.debian import store as stores
from tools.debian.deb import Deb
from tools.debian.errors import PackageError, TreeError
from tools.debian.lock import LockedPackage
from tools.debian.unpack import Unpacker

WORKERS = 4
MTIME = 0
"""Every path's time: trees with the same packages are the same whenever they are made."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

Note = Callable[[int, int], None]
"""Called with packages unpacked so far and in all."""


def tree_digest(packages: Iterable[LockedPackage]) -> str:
    """The name of the tree that these packages make."""
    names = sorted((package.name, package.sha256) for package in packages)
    text = json.dumps([layout.LAYOUT, names])
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def tree_path(packages: Iterable[LockedPackage], store: Path) -> Path:
    """Where the tree is, or would be."""
    return store / "tools" / tree_digest(packages)


def materialise(
    packages: Iterable[LockedPackage],
    store: Path,
    progress: fetch.ProgressCallback | None = None,
    note: Note | None = None,
    *,
    env: Mapping[str, str] = os.environ,
) -> Path:
    """The tree of these packages, made if it is not there, with what it needs fetched.

    Safe to call from several processes at once: one makes the tree, the others wait.

    Raises:
        MirrorError, PackageError: a package cannot be had (see `fetch.ensure`).
        DebError: a package is malformed, or two packages hold the same file.
        StoreError: the store cannot be written.
    """
    chosen = sorted(packages, key=lambda package: package.name)
    tree = tree_path(chosen, store)
    if _marked(tree):
        return tree
    debs = fetch.ensure(chosen, store, progress, env=env)
    with stores.exclusive(tree.with_suffix(".lock")):
        if not _marked(tree) and not _vouched_again(tree):
            _make(chosen, debs, tree, note)
    return tree


def verify(tree: Path) -> None:
    """Hash a whole tree and compare it with its manifest.

    Raises:
        TreeError: it has no manifest, or differs from it; the message names the path.
    """
    try:
        expected = tree.with_suffix(".manifest").read_text("utf-8")
    except OSError as error:
        raise TreeError(f"tools tree {tree} has no manifest", _mend(tree)) from error
    found = manifest.dump(manifest.scan(tree))
    if found != expected:
        what = manifest.difference(expected, found)
        raise TreeError(f"tools tree {tree.name}: {what}", _mend(tree))


def remove(tree: Path) -> None:
    """Delete a tree and its mark; waits for whoever is making it. Raises StoreError."""
    with stores.exclusive(tree.with_suffix(".lock")), stores.explained(tree):
        tree.with_suffix(".ok").unlink(missing_ok=True)
        _remove_tree(tree)
        tree.with_suffix(".manifest").unlink(missing_ok=True)


def program(tree: Path, name: str) -> tuple[str, ...]:
    """The words that run a tree's program outside any sandbox, whatever the host's libc is."""
    libraries = f"{tree}/usr/lib/x86_64-linux-gnu"
    loader = f"{libraries}/ld-linux-x86-64.so.2"
    return (loader, "--library-path", libraries, f"{tree}/{name}")


def _make(
    packages: Sequence[LockedPackage],
    debs: dict[str, Path],
    tree: Path,
    note: Note | None,
) -> None:
    fresh = tree.parent / f".unverified-{tree.name}"
    try:
        with stores.explained(tree):
            tree.with_suffix(".ok").unlink(missing_ok=True)
            _remove_tree(tree)
            _remove_tree(fresh)
            fresh.mkdir(parents=True)
        unpacker = Unpacker(fresh, MTIME, layout.SKIPPED)
        _unpack_all(packages, debs, unpacker, note)
        with stores.explained(tree):
            _finish(unpacker)
            text = manifest.dump(unpacker.entries())
            _seal(fresh)
            _compare_sizes(fresh, unpacker)
            os.rename(fresh, tree)
            _write(tree.with_suffix(".manifest"), text)
            _mark(tree, text)
    except BaseException:
        _remove_tree(fresh)
        raise


def _unpack_all(
    packages: Sequence[LockedPackage],
    debs: dict[str, Path],
    unpacker: Unpacker,
    note: Note | None,
) -> None:
    stop = threading.Event()

    def one(package: LockedPackage) -> None:
        if not stop.is_set():
            _check(package, debs[package.name])
            unpacker.add(Deb(debs[package.name]), package.name)

    ordered = sorted(packages, key=lambda package: -package.size)
    with ThreadPoolExecutor(WORKERS, "unpack") as pool:
        jobs = [pool.submit(one, package) for package in ordered]
        try:
            for done, job in enumerate(as_completed(jobs), 1):
                job.result()
                if note is not None:
                    note(done, len(jobs))
        except BaseException:
            stop.set()
            unpacker.stop()
            pool.shutdown(cancel_futures=True)
            raise


def _check(package: LockedPackage, path: Path) -> None:
    found = stores.file_sha256(path)
    if found != package.sha256:
        raise PackageError(
            f"package {package.name} {package.version}: expected sha256 {package.sha256},"
            f" found {found} at {path}",
            f"rm -f {path}; the next build fetches it again",
        )


def _finish(unpacker: Unpacker) -> None:
    """Add what maintainer scripts would have made."""
    for name in layout.DIRECTORIES:
        unpacker.directory(name)
    for name in layout.MERGED_LINKS:
        if unpacker.has(f"usr/{name}") and not unpacker.has(name):
            unpacker.link(name, f"usr/{name}")
    for name, text in layout.FILES.items():
        if not unpacker.has(name):
            unpacker.file(name, text.encode())
    for name, targets in layout.ALTERNATIVES.items():
        folder = name.rpartition("/")[0]
        found = next((item for item in targets if unpacker.has(f"{folder}/{item}")), None)
        if found is not None and not unpacker.has(name):
            unpacker.link(name, found)


def _seal(tree: Path) -> None:
    for folder, _, _ in os.walk(tree, topdown=False):
        os.utime(folder, (MTIME, MTIME))
        os.chmod(folder, 0o555)


def _compare_sizes(tree: Path, unpacker: Unpacker) -> None:
    """Every path that was written is there with its size, and no other."""
    expected = {entry.path: entry for entry in unpacker.entries()}
    for path, info in manifest.walk(tree):
        entry = expected.pop(path, None)
        if entry is None or (entry.kind == "f" and entry.size != info.st_size):
            raise TreeError(f"{path} is not what was unpacked", "run the build again")
    if expected:
        raise TreeError(f"{min(expected)} was unpacked, but is not there", "run the build again")


def _mark(tree: Path, text: str) -> None:
    mark = {"manifest": manifest.digest(text), "boot": _boot_id()}
    _write(tree.with_suffix(".ok"), json.dumps(mark) + "\n")


def _marked(tree: Path) -> bool:
    return _read_mark(tree).get("boot") == _boot_id()


def _vouched_again(tree: Path) -> bool:
    """Whether a tree made before the last reboot is still whole; mark it anew if so."""
    mark = _read_mark(tree)
    if not mark:
        return False
    try:
        text = tree.with_suffix(".manifest").read_text("utf-8")
        if manifest.digest(text) != mark.get("manifest"):
            return False
        verify(tree)
    except (OSError, TreeError):
        return False
    _mark(tree, text)
    return True


def _read_mark(tree: Path) -> dict[str, str]:
    try:
        mark = json.loads(tree.with_suffix(".ok").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return mark if isinstance(mark, dict) and tree.is_dir() else {}


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text("ascii").strip()
    except OSError:
        return "unknown"


def _write(path: Path, text: str) -> None:
    fresh = path.with_name(f".unverified-{path.name}")
    with fresh.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.rename(fresh, path)


def _remove_tree(tree: Path) -> None:
    if not tree.exists():
        return
    # Directories are read-only, also to their owner.
    for folder, names, _ in os.walk(tree):
        os.chmod(folder, stat.S_IRWXU)
        names[:] = [name for name in names if not os.path.islink(os.path.join(folder, name))]
    shutil.rmtree(tree)


def _mend(tree: Path) -> str:
    return f"rm {tree.with_suffix('.ok')}; the next build makes the tree anew"
