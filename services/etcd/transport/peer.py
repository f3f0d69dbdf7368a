"""Who is at the other end of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Peer:
    """An address, and what TLS proved about it."""

    address: str
    """`host:port`, or the path of a Unix socket."""
    tls: bool = False
    certificate: Mapping[str, Any] = field(default_factory=dict)
    """The verified client certificate as `ssl` describes it, empty without one."""

    @property
    def common_name(self) -> str:
        """The certificate's subject CN, or ''."""
        for part in self.certificate.get("subject", ()):
            for key, value in part:
                if key == "commonName":
                    return str(value)
        return ""
