"""The system's certificate authorities, as update-ca-certificates would lay them out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.image.errors import ImageError
from tools.image.nodes import Node, content, file, symlink
from tools.proc import run

SOURCE = "usr/share/ca-certificates/"
TARGET = "etc/ssl/certs"
ORIGIN = "ca-certificates"


def bundle(certificates: Mapping[str, bytes]) -> bytes:
    """All certificates in one file, in order of their names."""
    return b"".join(certificates[name].rstrip(b"\n") + b"\n" for name in sorted(certificates))


def nodes(tree: Mapping[str, Node], scratch: Path) -> Iterator[Node]:
    """The bundle, a link per certificate, and the links by subject hash that OpenSSL follows.

    Raises:
        ImageError: the tree has no certificates.
        ProgramError: openssl cannot read one.
    """
    sources = {
        path.rpartition("/")[2].removesuffix(".crt") + ".pem": path
        for path in sorted(tree)
        if path.startswith(SOURCE) and path.endswith(".crt")
    }
    if not sources:
        raise ImageError(f"no certificates below /{SOURCE}", "does the image have ca-certificates?")
    texts = {name: content(tree, path) for name, path in sources.items()}
    yield file(f"{TARGET}/ca-certificates.crt", bundle(texts), ORIGIN)
    scratch.mkdir(parents=True)
    for name, text in texts.items():
        (scratch / name).write_bytes(text)
        yield symlink(f"{TARGET}/{name}", f"/{sources[name]}", ORIGIN)
    run(["openssl", "rehash", scratch])
    for entry in sorted(os.scandir(scratch), key=lambda entry: entry.name):
        if entry.is_symlink():
            yield symlink(f"{TARGET}/{entry.name}", os.readlink(entry.path), ORIGIN)
