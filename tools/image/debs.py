"""Reads packages into nodes; the content of their files is spooled to scratch files."""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tools.debian.deb import Deb
from tools.debian.unpack import clean_path, members
from tools.debian.version import Version
from tools.image.errors import ImageError
from tools.image.merge import Package
from tools.image.nodes import Blob, Kind, Node

_XATTR = "SCHILY.xattr."
_RELATION = re.compile(r"([a-z0-9][a-z0-9.+-]*)(?::\w+)?(?:\s*\(\s*(<<|<=|=|>=|>>)\s*(\S+?)\s*\))?")


def read_all(
    debs: Mapping[str, Path], versions: Mapping[str, str], spool: Path, jobs: int
) -> list[Package]:
    """All packages, by name; decompression runs in `jobs` threads.

    Raises:
        DebError: a package is damaged.
        ImageError: it holds something an image cannot.
    """
    spool.mkdir(exist_ok=True)
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        return list(
            pool.map(lambda name: read(name, Deb(debs[name]), versions, spool / name), sorted(debs))
        )


def read(name: str, deb: Deb, versions: Mapping[str, str], spool: Path) -> Package:
    """One package; `spool` becomes the file that holds the content of its files."""
    nodes: list[Node] = []
    with spool.open("wb") as out:
        for path, member, tar in members(deb):
            nodes.append(_node(name, path, member, _spooled(member, tar, out, spool)))
    return Package(name, tuple(nodes), replaced(deb.control().get("Replaces", ""), versions))


def replaced(field: str, versions: Mapping[str, str]) -> frozenset[str]:
    """Those of the present packages that a Replaces field names, versions considered."""
    found = set()
    for relation in field.split(","):
        match = _RELATION.fullmatch(relation.strip())
        if match is None:
            continue
        name, operator, bound = match.groups()
        have = versions.get(name)
        if have is not None and (operator is None or _holds(have, operator, bound)):
            found.add(name)
    return frozenset(found)


def _holds(have: str, operator: str, bound: str) -> bool:
    a, b = Version(have), Version(bound)
    match operator:
        case "<<":
            return a < b
        case "<=":
            return a <= b
        case "=":
            return a == b
        case ">=":
            return a >= b
    return a > b


def _spooled(
    member: tarfile.TarInfo, tar: tarfile.TarFile, out: object, spool: Path
) -> Blob | None:
    stream = tar.extractfile(member) if member.isreg() else None
    if stream is None:
        return None
    content = stream.read()
    offset = out.tell()  # type: ignore[attr-defined]
    out.write(content)  # type: ignore[attr-defined]
    return Blob(len(content), hashlib.sha256(content).hexdigest(), path=spool, offset=offset)


def _node(name: str, path: str, member: tarfile.TarInfo, blob: Blob | None) -> Node:
    if member.isdir():
        kind, target = Kind.DIRECTORY, ""
    elif member.issym():
        kind, target = Kind.SYMLINK, member.linkname
    elif member.islnk():
        kind, target = Kind.HARDLINK, clean_path(member.linkname, name)
    elif member.isreg():
        kind, target = Kind.FILE, ""
    else:
        raise ImageError(f"{name}: /{path} is a device or a pipe; those are made at run time")
    return Node(
        path,
        kind,
        0o777 if kind is Kind.SYMLINK else member.mode & 0o7777,
        member.uid,
        member.gid,
        origin=name,
        target=target,
        blob=blob,
        owner=(member.uname, member.gname),
        xattrs=tuple(
            sorted(
                (key.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
                for key, value in member.pax_headers.items()
                if key.startswith(_XATTR)
            )
        ),
    )
