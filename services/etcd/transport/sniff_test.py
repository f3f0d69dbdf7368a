from __future__ import annotations

import pytest

from services.etcd.transport.frames import PREFACE
from services.etcd.transport.sniff import Wire, sniff


@pytest.mark.parametrize(
    ("data", "wire"),
    [
        (b"", None),
        (b"\x16\x03\x01", Wire.TLS),
        (PREFACE, Wire.HTTP2),
        (PREFACE[:4], Wire.HTTP2),
        (PREFACE[:3], None),
        (b"P", None),
        (b"PO", Wire.HTTP1),
        (b"PUT /v2/keys/x HTTP/1.1\r\n", Wire.HTTP1),
        (b"PRInt", Wire.HTTP1),
        (b"GET", Wire.HTTP1),
        (b"\x00", Wire.HTTP1),
    ],
)
def test_sniff(data: bytes, wire: Wire | None) -> None:
    assert sniff(data) is wire
