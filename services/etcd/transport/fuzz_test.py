"""Replays the corpus, and lets hypothesis make more."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.etcd.transport import frames
from services.etcd.transport.fuzz import CORPUS, TARGETS, run_h2
from services.etcd.transport.hpack import Encoder

HEAD = [
    (b":method", b"POST"),
    (b":scheme", b"http"),
    (b":path", b"/t.T/Echo"),
    (b"content-type", b"application/grpc"),
]
FRAMES = st.builds(
    frames.frame,
    st.integers(0, 10),
    st.sampled_from((0, 1, 4, 5, 8, 9, 13, 37, 45, 255)),
    st.integers(0, 7),
    st.binary(max_size=12)
    | st.sampled_from((Encoder().encode(HEAD), b"\0\0\0\0\x01a", b"\0\0\0\x50\0", b"\0\0\0\1")),
)


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param(name, path, id=f"{name}-{path.name}")
        for name in TARGETS
        for path in sorted((CORPUS / name).iterdir())
    ],
)
def test_corpus(name: str, path: Path) -> None:
    TARGETS[name](path.read_bytes())


@given(st.lists(FRAMES, max_size=30))
def test_any_frames(sent: list[bytes]) -> None:
    run_h2(frames.PREFACE + frames.settings(()) + b"".join(sent))
