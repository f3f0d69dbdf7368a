from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest

from tools.debian.deb import Deb
from tools.image import debs
from tools.image.errors import ImageError
from tools.image.nodes import Kind


def tar_of(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def info(name: str, kind: bytes = tarfile.REGTYPE, **fields: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for key, value in fields.items():
        setattr(member, key, value)
    return member


def deb(path: Path, *members: tuple[tarfile.TarInfo, bytes], control: str = "Package: p\n") -> Deb:
    parts = {
        "debian-binary": b"2.0\n",
        "control.tar": tar_of((info("./control"), control.encode())),
        "data.tar": tar_of(*members),
    }
    out = b"!<arch>\n"
    for name, data in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    path.write_bytes(out)
    return Deb(path)


def test_headers_are_kept(tmp_path: Path) -> None:
    file = deb(
        tmp_path / "p.deb",
        (info("./", tarfile.DIRTYPE, mode=0o755), b""),
        (info("./bin/su", mode=0o4755, uid=0, gid=42, uname="root", gname="shadow"), b"su"),
        (info("./usr/bin/ls", tarfile.LNKTYPE, linkname="./bin/su"), b""),
        (info("./usr/bin/l", tarfile.SYMTYPE, linkname="../x"), b""),
        (
            info("./usr/c", mode=0o755, pax_headers={"SCHILY.xattr.security.capability": "\1"}),
            b"",
        ),
    )
    package = debs.read("p", file, {}, tmp_path / "spool")
    nodes = {node.path: node for node in package.nodes}
    su = nodes["usr/bin/su"]
    assert (su.mode, su.gid, su.owner, su.origin) == (0o4755, 42, ("root", "shadow"), "p")
    assert su.blob is not None and su.blob.read() == b"su"
    assert (nodes["usr/bin/ls"].kind, nodes["usr/bin/ls"].target) == (Kind.HARDLINK, "usr/bin/su")
    assert (nodes["usr/bin/l"].kind, nodes["usr/bin/l"].target) == (Kind.SYMLINK, "../x")
    assert nodes["usr/c"].xattrs == (("security.capability", b"\1"),)


def test_devices_are_refused(tmp_path: Path) -> None:
    file = deb(tmp_path / "p.deb", (info("./dev/null", tarfile.CHRTYPE), b""))
    with pytest.raises(ImageError, match="p: /dev/null is a device"):
        debs.read("p", file, {}, tmp_path / "spool")


@pytest.mark.parametrize(
    ("field", "replaced"),
    [
        pytest.param("", set(), id="nothing"),
        pytest.param("a, absent", {"a"}, id="without a version"),
        pytest.param("a (<< 2.0)", {"a"}, id="older: yes"),
        pytest.param("a (<< 1.0)", set(), id="older: no"),
        pytest.param("a (<= 1.5-1), b (>> 9)", {"a"}, id="several"),
        pytest.param("a:amd64 (>= 1)", {"a"}, id="architecture"),
    ],
)
def test_replaces(field: str, replaced: set[str]) -> None:
    assert debs.replaced(field, {"a": "1.5-1", "b": "3"}) == replaced
