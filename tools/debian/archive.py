"""Indices of an archive: InRelease fetched and its signature checked, then what it signs.

Nothing from a mirror is used before it is traced to a pinned key: InRelease by gpgv, the
package index by the hash and size that InRelease gives for it. Indices are kept in the
store by hash, as packages are, so that an unchanged suite is not fetched twice.
"""

from __future__ import annotations

import hashlib
import lzma
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tools.debian import release, signature
from tools.debian import store as stores
from tools.debian.errors import MirrorError, SignatureError
from tools.debian.lock import LockedSuite
from tools.debian.mirrors import DebianMirror
from tools.debian.transport import MEND, Transport
from tools.debian.wanted import Suite

COMPONENT = "main"
ARCH = "amd64"

_INRELEASE_LIMIT = 8 << 20
_INDEX_LIMIT = 512 << 20


@dataclass(frozen=True, slots=True)
class SuiteIndex:
    """A suite as verified: its signed text, and the paragraphs of its packages."""

    suite: Suite
    locked: LockedSuite
    release_text: str
    packages: str


def fetch_suite(
    suite: Suite,
    mirror: DebianMirror,
    transport: Transport,
    store: Path,
    keys: Sequence[Path],
    now: datetime,
    *,
    gpgv: Sequence[str] = ("gpgv",),
    note: Callable[[str], None] = lambda _: None,
) -> SuiteIndex:
    """Fetch and verify a suite's indices for `main` and amd64.

    Raises:
        SignatureError: InRelease is not signed by a pinned key, is too old, or an index
            is not the one it signs.
        MirrorError: the mirror does not answer or lacks a file.
        StoreError: the store cannot be written.
    """
    base = f"{mirror.archive_url(suite.archive)}/dists/{suite.name}"
    note(f"{suite.name}: release file")
    signed = transport.read(f"{base}/InRelease", _INRELEASE_LIMIT)
    text = signature.verify(signed, keys, f"{suite.name}/InRelease", gpgv)
    verified = release.parse(text)
    release.check(verified, suite.name, now)
    parts = []
    for arch in (ARCH, "all") if verified.splits_arch_all else (ARCH,):
        note(f"{suite.name}: packages of {arch}")
        file = verified.files.get(f"{COMPONENT}/binary-{arch}/Packages.xz")
        if file is None:
            raise SignatureError(f"{suite.name}: the release file names no packages of {arch}")
        parts.append(_index(base, file, verified.by_hash, transport, store, suite.name))
    locked = LockedSuite(suite.name, hashlib.sha256(signed).hexdigest(), verified.epoch)
    return SuiteIndex(suite, locked, text, "\n\n".join(parts))


def _index(
    base: str,
    file: release.IndexFile,
    by_hash: bool,
    transport: Transport,
    store: Path,
    what: str,
) -> str:
    path = stores.blob_path(store, file.sha256)
    data = _cached(path, file)
    if data is None:
        # By hash, an index stays what it is while the mirror moves on under our feet.
        folder = file.path.rpartition("/")[0]
        name = f"{folder}/by-hash/SHA256/{file.sha256}" if by_hash else file.path
        data = transport.read(f"{base}/{name}", file.size)
        if not _matches(data, file):
            raise SignatureError(
                f"{what}: {file.path} is not the file that was signed: expected sha256"
                f" {file.sha256}, found {hashlib.sha256(data).hexdigest()}",
                "the mirror is being updated or broken; try again, or use another mirror",
            )
        with stores.partial(path, file.sha256) as target, stores.explained(path):
            target.truncate(0)
            target.write(data)
            stores.publish(target, path)
    return _decompressed(data, file, what)


def _cached(path: Path, file: release.IndexFile) -> bytes | None:
    try:
        data = path.read_bytes()
    except OSError:
        return None
    return data if _matches(data, file) else None


def _matches(data: bytes, file: release.IndexFile) -> bool:
    return len(data) == file.size and hashlib.sha256(data).hexdigest() == file.sha256


def _decompressed(data: bytes, file: release.IndexFile, what: str) -> str:
    try:
        text = lzma.LZMADecompressor().decompress(data, _INDEX_LIMIT)
        return text.decode("utf-8").strip("\n")
    except (lzma.LZMAError, UnicodeDecodeError) as error:
        raise MirrorError(f"{what}: {file.path} cannot be read: {error}", MEND) from error
