"""For tests: .deb files, an archive with a key of its own, a mirror that misbehaves.

Attacks and accidents are data here: a test takes a good archive, changes one thing, and
says what must happen.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import io
import lzma
import tarfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tools.debian import deb822
from tools.debian.lock import LockedPackage
from tools.proc import run

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
"""The time at which fake archives are fresh."""

_COMPRESSORS: Mapping[str, Callable[[bytes], bytes]] = {
    ".xz": functools.partial(lzma.compress, preset=0),
    ".gz": functools.partial(gzip.compress, mtime=0),
    "": bytes,
}


@dataclass(frozen=True, slots=True)
class Member:
    """One member of a data tar. `target` is what a link points to."""

    name: str
    content: bytes = b""
    kind: bytes = tarfile.REGTYPE
    mode: int = 0o644
    target: str = ""


def directory(name: str) -> Member:
    """A directory."""
    return Member(name, kind=tarfile.DIRTYPE, mode=0o755)


def symlink(name: str, target: str) -> Member:
    """A symbolic link."""
    return Member(name, kind=tarfile.SYMTYPE, mode=0o777, target=target)


def hard_link(name: str, target: str) -> Member:
    """A hard link to an earlier member."""
    return Member(name, kind=tarfile.LNKTYPE, target=target)


def tar(members: Sequence[Member]) -> bytes:
    """A tar with exactly these members."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type, info.mode, info.linkname = member.kind, member.mode, member.target
            info.size = len(member.content)
            archive.addfile(info, io.BytesIO(member.content))
    return out.getvalue()


def ar(members: Sequence[tuple[str, bytes]]) -> bytes:
    """An ar archive as dpkg-deb writes it."""
    out = bytearray(b"!<arch>\n")
    for name, content in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        out += content + b"\n" * (len(content) % 2)
    return bytes(out)


def deb(control: Mapping[str, str], members: Sequence[Member], suffix: str = ".xz") -> bytes:
    """A .deb with that control file; `suffix` chooses the compression of the data."""
    compress: Callable[[bytes], bytes] = _COMPRESSORS[suffix]
    control_tar = tar([Member("./control", deb822.dump(control).encode())])
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz", lzma.compress(control_tar, preset=0)),
            (f"data.tar{suffix}", compress(tar(members))),
        ]
    )


def locked(name: str, content: bytes, sets: tuple[str, ...] = ("image",)) -> LockedPackage:
    """The lock's entry for a file, version 1."""
    return LockedPackage(
        name=name,
        version="1",
        arch="amd64",
        suite="stable",
        pool=f"debian/pool/main/{name}_1_amd64.deb",
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
        sets=sets,
    )


def package(name: str, members: Sequence[Member] = ()) -> tuple[LockedPackage, bytes]:
    """A small package and its lock entry."""
    content = deb({"Package": name, "Version": "1", "Architecture": "amd64"}, members)
    return locked(name, content), content


@dataclass(frozen=True, slots=True)
class Key:
    """A signing key: gpg's directory, and the public half in armour."""

    home: Path
    public: Path


@contextmanager
def signing_key(directory: Path, name: str = "Test") -> Iterator[Key]:
    """Make a key; its agent ends with the block."""
    home = directory / "gnupg"
    home.mkdir(mode=0o700, parents=True)
    user = f"{name} <{name.lower()}@example.org>"
    try:
        run([*_gpg(home), "--passphrase", "", "--quick-gen-key", user, "ed25519", "sign", "never"])
        public = directory / "key.asc"
        public.write_bytes(run([*_gpg(home), "--armor", "--export"]).stdout)
        yield Key(home, public)
    finally:
        run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


def clear_sign(text: str, key: Key) -> bytes:
    """A clear-signed file."""
    return run([*_gpg(key.home), "--clear-sign"], stdin=text.encode()).stdout


def _gpg(home: Path) -> list[str]:
    return ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]


@dataclass(slots=True)
class Archive:
    """A Debian archive below `root/debian` with one suite, whose parts a test can bend."""

    root: Path
    suite: str = "stable"
    date: datetime = NOW - timedelta(days=1)
    valid_for: timedelta | None = timedelta(days=7)
    stanzas: list[dict[str, str]] = field(default_factory=list)

    def add(
        self, name: str, members: Sequence[Member] = (), version: str = "1", **fields: str
    ) -> LockedPackage:
        """Put a package into the pool and the index."""
        named = {key.replace("_", "-").title(): value for key, value in fields.items()}
        control = {"Package": name, "Version": version, "Architecture": "amd64", **named}
        content = deb(control, members)
        path = f"pool/main/{name}_{version}_amd64.deb"
        file = self.root / "debian" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        found = {"Filename": path, "Size": str(len(content)), "SHA256": digest}
        self.stanzas.append({**control, **found, "Description": name})
        pool = f"debian/{path}"
        size = len(content)
        return LockedPackage(name, version, "amd64", self.suite, pool, digest, size, ("image",))

    def release(self, index: bytes) -> str:
        """The text of the Release file for an index."""
        digest = hashlib.sha256(index).hexdigest()
        fields = {
            "Origin": "Test",
            "Suite": self.suite,
            "Codename": self.suite,
            "Date": format_datetime(self.date, usegmt=True).replace("GMT", "UTC"),
            "Architectures": "amd64",
            "Components": "main",
            "SHA256": f"\n{digest} {len(index)} main/binary-amd64/Packages.xz",
        }
        if self.valid_for is not None:
            until = format_datetime(self.date + self.valid_for, usegmt=True)
            fields["Valid-Until"] = until.replace("GMT", "UTC")
        return deb822.dump(fields)

    def publish(self, key: Key) -> None:
        """Write the index and sign the release file."""
        text = "\n".join(deb822.dump(stanza) for stanza in self.stanzas)
        index = lzma.compress(text.encode(), preset=0)
        self.index_path.parent.mkdir(parents=True, exist_ok=True)
        self.index_path.write_bytes(index)
        self.inrelease_path.write_bytes(clear_sign(self.release(index), key))

    @property
    def inrelease_path(self) -> Path:
        """The signed release file."""
        return self.root / "debian" / "dists" / self.suite / "InRelease"

    @property
    def index_path(self) -> Path:
        """The package index."""
        return self.inrelease_path.parent / "main" / "binary-amd64" / "Packages.xz"


@dataclass(slots=True)
class Behaviour:
    """How a server treats its files. `cut` is after how many bytes an answer ends early."""

    files: dict[str, bytes]
    cut: int | None = None
    cuts_left: int = 0
    ranges: bool = True
    status: int = 200
    requests: list[str] = field(default_factory=list)


@contextmanager
def http_server(behaviour: Behaviour) -> Iterator[str]:
    """A web server on the loopback; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer(body=False)

        def do_GET(self) -> None:
            self._answer(body=True)

        def log_message(self, *_: object) -> None:
            pass

        def _answer(self, body: bool) -> None:
            asked = self.headers.get("Range", "")
            behaviour.requests.append(f"{self.command} {self.path} {asked}".strip())
            content = behaviour.files.get(self.path)
            if content is None or behaviour.status != 200:
                self.send_error(404 if content is None else behaviour.status)
                return
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
            if not behaviour.ranges:
                start = 0
            if start and start >= len(content):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(content) - start))
            self.end_headers()
            if body:
                self.wfile.write(content[start : self._end(start, len(content))])

        def _end(self, start: int, size: int) -> int:
            if behaviour.cut is None or behaviour.cuts_left == 0:
                return size
            behaviour.cuts_left -= 1
            self.close_connection = True
            return min(size, start + behaviour.cut)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
