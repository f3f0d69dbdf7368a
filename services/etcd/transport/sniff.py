"""Which protocol a peer speaks, from its first bytes."""

from __future__ import annotations

from enum import Enum

from services.etcd.transport.frames import PREFACE

_TLS_HANDSHAKE = 0x16
_ENOUGH = 4
"""No HTTP/1.1 request begins with these bytes of the HTTP/2 preface."""


class Wire(Enum):
    """What may arrive on a port."""

    TLS = "tls"
    HTTP2 = "h2"
    HTTP1 = "http/1.1"


def sniff(data: bytes) -> Wire | None:
    """The protocol that begins with `data`, or None when more bytes are needed."""
    if not data:
        return None
    if data[0] == _TLS_HANDSHAKE:
        return Wire.TLS
    if not data.startswith(PREFACE[:_ENOUGH]):
        return None if PREFACE.startswith(data) else Wire.HTTP1
    return Wire.HTTP2
