"""Packages by hash: from the store, else from a mirror, verified before anybody sees them.

A few downloads run at a time, each is tried a few times and goes on where it stopped.
What a mirror sends is believed only when size and hash are those of the lock; a mirror
that sends anything else is passed over for the next one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tools.debian import mirrors, settings
from tools.debian import store as stores
from tools.debian.errors import MirrorError, MissingError, PackageError, StoreError
from tools.debian.lock import LockedPackage
from tools.debian.transport import MEND, Transport

WORKERS = 4
ATTEMPTS = 3
BACKOFF_S = 0.5
"""Pause after a failed try; each further one is twice as long."""
RELOCK = "run ./strake lock to lock what the mirror has now"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a fetch is. Counts files and bytes that had to be fetched, not cached ones."""

    name: str
    files_done: int
    files: int
    bytes_done: int
    bytes: int


ProgressCallback = Callable[[Progress], None]


def ensure(
    packages: Iterable[LockedPackage],
    store: Path,
    progress: ProgressCallback | None = None,
    *,
    choice: mirrors.Choice | None = None,
    env: Mapping[str, str] = os.environ,
) -> dict[str, Path]:
    """The files of all packages by name, fetching those the store lacks.

    Files in the store are hashed again; one that is no longer what its name says is fetched
    anew. `progress` is called from one thread at a time.

    Raises:
        MirrorError: no mirror is known or none answers.
        PackageError: a package is not on the mirror, or is not what the lock says.
        StoreError: the store cannot be written.
    """
    wanted = sorted(packages, key=lambda package: package.name)
    found = {package.name: stores.blob_path(store, package.sha256) for package in wanted}
    with ThreadPoolExecutor(WORKERS, "verify") as pool:
        whole = list(pool.map(lambda package: stores.holds(found[package.name], package), wanted))
    missing = [package for package, good in zip(wanted, whole, strict=True) if not good]
    if missing:
        chosen = choice or mirrors.choose(store, env)
        transport = Transport(settings.network(store, env))
        fetch_all(missing, found, chosen, transport, progress)
    return found


def fetch_all(
    missing: Sequence[LockedPackage],
    targets: Mapping[str, Path],
    choice: mirrors.Choice,
    transport: Transport,
    progress: ProgressCallback | None = None,
) -> None:
    """Fetch packages to the given files, largest first. Raises as `ensure`."""
    tally = _Tally(missing, progress)
    stop = threading.Event()
    ordered = sorted(missing, key=lambda package: (-package.size, package.name))
    with ThreadPoolExecutor(WORKERS, "fetch") as pool:
        jobs = {
            pool.submit(
                _Download(package, targets[package.name], transport, tally, stop).run,
                choice,
            )
            for package in ordered
        }
        try:
            for job in as_completed(jobs):
                job.result()
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise


class Stopped(MirrorError):
    """Another download failed, or the user pressed Ctrl-C."""


class _Tally:
    """Counts what has arrived, for the progress callback."""

    def __init__(self, packages: Sequence[LockedPackage], report: ProgressCallback | None) -> None:
        self._report = report
        self._mutex = threading.Lock()
        self._files, self._bytes = (
            len(packages),
            sum(package.size for package in packages),
        )
        self._files_done = self._bytes_done = 0

    def add(self, name: str, count: int, files: int = 0) -> None:
        with self._mutex:
            self._bytes_done += count
            self._files_done += files
            if self._report is not None:
                self._report(
                    Progress(
                        name,
                        self._files_done,
                        self._files,
                        self._bytes_done,
                        self._bytes,
                    )
                )


class _Download:
    """One package on its way into the store."""

    def __init__(
        self,
        package: LockedPackage,
        target: Path,
        transport: Transport,
        tally: _Tally,
        stop: threading.Event,
    ) -> None:
        self._package, self._target = package, target
        self._transport, self._tally, self._stop = transport, tally, stop
        self._counted = 0

    def run(self, choice: mirrors.Choice) -> None:
        """Try every mirror a few times. Raises the first mirror's error if all fail."""
        first: MirrorError | PackageError | None = None
        with stores.partial(self._target, self._package.sha256) as file:
            if not stores.holds(self._target, self._package):
                for mirror in choice.mirrors:
                    error = self._from(mirror.package_url(self._package), file)
                    if error is None:
                        break
                    first = first or error
                else:
                    raise first or MirrorError("no mirror to ask", MEND)
            else:
                stores.discard(file)
        self._count(self._package.size, files=1)

    def _from(self, url: str, file: IO[bytes]) -> MirrorError | PackageError | None:
        error: MirrorError | PackageError | None = None
        for attempt in range(ATTEMPTS):
            pause = BACKOFF_S * 2 ** (attempt - 1) if attempt else 0
            if self._stop.wait(pause):
                raise Stopped("stopped")
            try:
                self._receive(url, file)
                found = self._verify(file)
            except MissingError:
                return PackageError(
                    f"{self._label}: the mirror no longer has it, expected sha256"
                    f" {self._package.sha256}, found nothing at {url}",
                    RELOCK,
                )
            except MirrorError as broken:
                error = MirrorError(f"{self._label}: {broken.message}", broken.hint)
                continue
            if found is None:
                stores.publish(file, self._target)
                return None
            error = PackageError(f"{self._label}: {found} at {url}", RELOCK)
            # A file that ends early may be a broken connection: the next try goes on there.
            if self._size(file) >= self._package.size:
                self._empty(file)
        self._empty(file)
        return error

    def _receive(self, url: str, file: IO[bytes]) -> None:
        size = self._package.size
        have = self._size(file)
        if have > size:
            self._empty(file)
            have = 0
        if have == size:
            return
        with self._transport.open(url, have) as body:
            if body.offset != have:
                self._empty(file)
                have = 0
            for chunk in body.chunks():
                if self._stop.is_set():
                    raise Stopped("stopped")
                have += len(chunk)
                self._write(file, chunk)
                self._count(min(have, size))
                if have > size:
                    return

    def _write(self, file: IO[bytes], chunk: bytes) -> None:
        try:
            with stores.explained(self._target):
                file.write(chunk)
        except StoreError:
            stores.discard(file)
            raise

    def _size(self, file: IO[bytes]) -> int:
        with stores.explained(self._target):
            return file.seek(0, os.SEEK_END)

    def _empty(self, file: IO[bytes]) -> None:
        with stores.explained(self._target):
            file.truncate(0)

    def _verify(self, file: IO[bytes]) -> str | None:
        """None when the file is the package, else what was expected and found."""
        with stores.explained(self._target):
            file.flush()
            file.seek(0)
            found = stores.stream_sha256(file)
            size = file.tell()
        package = self._package
        if (found, size) == (package.sha256, package.size):
            return None
        if size != package.size:
            return (
                f"expected {package.size} bytes with sha256 {package.sha256},"
                f" found {'more than ' if size > package.size else ''}{size} with {found}"
            )
        return f"expected sha256 {package.sha256}, found {found}"

    def _count(self, upto: int, files: int = 0) -> None:
        self._tally.add(self._package.name, upto - self._counted, files)
        self._counted = upto

    @property
    def _label(self) -> str:
        return f"package {self._package.name} {self._package.version}"
