from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.image import sparse

MIXED = b"a" * 100 + bytes(2 * sparse.CHUNK) + b"b" * sparse.CHUNK + bytes(sparse.CHUNK) + b"c"


def sparse_file(path: Path, data: bytes) -> Path:
    with path.open("wb") as out:
        for at in range(0, len(data), 4096):
            piece = data[at : at + 4096]
            if piece.strip(b"\0"):
                out.seek(at)
                out.write(piece)
        out.truncate(len(data))
    return path


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="empty"),
        pytest.param(bytes(2 * sparse.CHUNK), id="only a hole"),
        pytest.param(bytes(100), id="a short hole"),
        pytest.param(MIXED, id="mixed"),
        pytest.param(bytes(sparse.CHUNK) + b"x" + bytes(sparse.CHUNK), id="hole at the end"),
    ],
)
def test_holes_and_zeros_are_the_same(tmp_path: Path, data: bytes) -> None:
    holes = sparse_file(tmp_path / "holes", data)
    full = tmp_path / "full"
    full.write_bytes(data)
    assert sparse.digest(holes) == sparse.digest(full)
    total = hashlib.sha256()
    for at in range(0, len(data), sparse.CHUNK):
        total.update(hashlib.sha256(data[at : at + sparse.CHUNK]).digest())
    assert sparse.digest(full) == sparse.Digest(len(data), total.hexdigest())
    rebuilt = b"".join(bytes(sparse.CHUNK) if c is None else c for c in sparse.chunks(holes))
    assert rebuilt == data


@pytest.mark.skipif(shutil.which("zstd") is None, reason="no zstd program on this machine")
def test_zstd_unpacks_it(tmp_path: Path) -> None:
    source = sparse_file(tmp_path / "disk", MIXED)
    sparse.compress(source, tmp_path / "disk.zst")
    done = subprocess.run(["zstd", "-dcq", tmp_path / "disk.zst"], capture_output=True, check=True)
    assert done.stdout == MIXED
