"""TLS without a socket, and how a server is configured for it.

`TlsLayer` turns the peer's bytes into plain ones and back; the socket's owner moves both.
That keeps one write per tick with TLS too, and lets one port serve TLS and plain peers.
Certificates are read again when their files change, so they can be renewed in place.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.etcd.transport.errors import TransportError

ALPN = ("h2", "http/1.1")
_READ = 1 << 16


class TlsError(TransportError):
    """A handshake that failed, a peer that is not allowed in, or a broken record."""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """What a server proves, and what it asks of clients. Values are paths of PEM files."""

    certificate: str
    key: str
    client_ca: str = ""
    """Authorities whose client certificates are accepted."""
    client_certificate_required: bool = False
    crl: str = ""
    """Revoked client certificates."""
    allowed_names: tuple[str, ...] = ()
    """Common names that clients may have; empty means any."""
    ciphers: str = ""
    """OpenSSL's list for TLS 1.2; empty means its defaults."""
    minimum: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    maximum: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED

    def files(self) -> tuple[str, ...]:
        """Every file that takes part."""
        return tuple(f for f in (self.certificate, self.key, self.client_ca, self.crl) if f)


def make_context(config: TlsConfig) -> ssl.SSLContext:
    """The context of a server.

    Raises TlsError: a file is missing or is not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = config.minimum
    context.maximum_version = config.maximum
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(list(ALPN))
    try:
        context.load_cert_chain(config.certificate, config.key)
        if config.ciphers:
            context.set_ciphers(config.ciphers)
        for file in (config.client_ca, config.crl):
            if file:
                context.load_verify_locations(file)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(config.files())
        raise TlsError(f"cannot set up TLS from {files}: {error}", "check the PEM files") from error
    if config.crl:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    if config.client_certificate_required:
        context.verify_mode = ssl.CERT_REQUIRED
    elif config.client_ca:
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


class TlsSource:
    """Contexts for new connections, made anew when a file has changed."""

    def __init__(self, config: TlsConfig) -> None:
        """Raises TlsError: see `make_context`."""
        self.config = config
        self._stamp = self._read_stamp()
        self._context = make_context(config)

    def context(self) -> ssl.SSLContext:
        """The context to use now. Files that are half written leave the old one in use."""
        stamp = self._read_stamp()
        if stamp != self._stamp:
            try:
                self._context = make_context(self.config)
            except TlsError:
                return self._context
            self._stamp = stamp
        return self._context

    def _read_stamp(self) -> tuple[tuple[int, int], ...]:
        stats = [os.stat(f) for f in self.config.files() if os.path.exists(f)]
        return tuple((s.st_mtime_ns, s.st_ino) for s in stats)


class TlsLayer:
    """One connection's records."""

    __slots__ = ("_config", "_in", "_object", "_out", "ended", "established")

    def __init__(self, source: TlsSource) -> None:
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._config = source.config
        self._object = source.context().wrap_bio(self._in, self._out, server_side=True)
        self.established = False
        self.ended = False
        """The peer has said goodbye."""

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the socket; returns plain ones.

        Raises TlsError: the connection is lost; `take` may have an alert to send.
        """
        self._in.write(data)
        try:
            if not self.established:
                self._object.do_handshake()
                self._admit()
                self.established = True
            return self._read()
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLError as error:
            raise TlsError(f"TLS: {error.reason or error}") from None

    def send(self, data: bytes) -> None:
        """Encrypt plain bytes; `take` has the records.

        Raises TlsError: the connection is lost.
        """
        view = memoryview(data)
        try:
            while view:
                view = view[self._object.write(view) :]
        except ssl.SSLError as error:
            raise TlsError(f"TLS: {error.reason or error}") from None

    def take(self) -> bytes:
        """Bytes for the socket."""
        return self._out.read()

    def close(self) -> None:
        """Say goodbye; `take` has the alert."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            return

    @property
    def certificate(self) -> Mapping[str, Any]:
        """The client's verified certificate, empty without one."""
        return self._object.getpeercert() or {}

    def _read(self) -> bytes:
        chunks: list[bytes] = []
        try:
            while chunk := self._object.read(_READ):
                chunks.append(chunk)
            self.ended = True
        except ssl.SSLWantReadError:
            return b"".join(chunks)
        except ssl.SSLZeroReturnError:
            self.ended = True
        return b"".join(chunks)

    def _admit(self) -> None:
        allowed = self._config.allowed_names
        if not allowed:
            return
        subject = self.certificate.get("subject", ())
        names = [value for part in subject for key, value in part if key == "commonName"]
        if not any(name in allowed for name in names):
            raise TlsError("TLS: the client's common name is not allowed")
