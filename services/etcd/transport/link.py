"""One socket: sniffs the protocol, moves bytes between socket, TLS and session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from services.etcd.transport.dispatch import Dispatcher
from services.etcd.transport.http1_session import Http1Session
from services.etcd.transport.peer import Peer
from services.etcd.transport.session import Session
from services.etcd.transport.sniff import Wire, sniff
from services.etcd.transport.tls import TlsError, TlsLayer, TlsSource

if TYPE_CHECKING:
    from services.etcd.transport.server import Server

_PLAIN_ON_TLS = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class _Engine(Protocol):
    """What a session of either protocol offers to its socket."""

    now: float

    def receive(self, data: bytes, now: float) -> None: ...
    def take(self) -> bytes: ...
    def finished(self) -> bool: ...
    def reading(self) -> bool: ...
    def drain(self) -> None: ...
    def finish_drain(self) -> None: ...
    def abort(self) -> None: ...
    def set_socket_ready(self, ready: bool) -> None: ...
    def overdue(self, now: float) -> bool: ...


class Link(asyncio.Protocol):
    """A peer's connection. `tls` is the port's TLS; `plain` whether it may be left out."""

    def __init__(self, server: Server, tls: TlsSource | None, plain: bool) -> None:
        self._server = server
        self._dispatcher: Dispatcher = server.dispatcher
        self._source = tls
        self._plain = plain
        self._tls: TlsLayer | None = None
        self._engine: _Engine | None = None
        self._transport: asyncio.Transport | None = None
        self._address = ""
        self._first = b""
        self._feed: Callable[[bytes, float], None] = self._sniff
        self._opened = self._dispatcher.loop.time()
        self._stalled_since: float | None = None
        self._paused = False
        self._dirty = False
        self._drain = False

    # --- asyncio's hooks

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        limits = self._dispatcher.limits
        self._transport.set_write_buffer_limits(high=limits.socket_high_water)
        self._address = _address(transport)
        if not self._server.admit(self):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._dispatcher.read(self, self._feed, data)

    def eof_received(self) -> bool:
        """A peer that stops sending is done; there are no half-open clients."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._server.forget(self)
        if self._engine is not None:
            self._engine.abort()

    def pause_writing(self) -> None:
        self._stalled_since = self._dispatcher.loop.time()
        if self._engine is not None:
            self._engine.set_socket_ready(False)
        self._check_reading()

    def resume_writing(self) -> None:
        self._stalled_since = None
        if self._engine is not None:
            self._engine.set_socket_ready(True)
        self._check_reading()

    # --- for the dispatcher and the server

    def flush(self) -> None:
        """Write the collected output; close when the session is over."""
        self._dirty = False
        transport, engine = self._transport, self._engine
        if transport is None or engine is None or transport.is_closing():
            return
        self._write(engine.take())
        if engine.finished():
            self.close()
        else:
            self._check_reading()

    def drain(self) -> None:
        """Begin a graceful end."""
        self._drain = True
        if self._engine is not None:
            self._engine.drain()
        else:
            self.close()

    def finish_drain(self) -> None:
        """The peer had time to notice: take no more requests."""
        if self._engine is not None:
            self._engine.finish_drain()

    def close(self) -> None:
        """Close once everything written is out."""
        if self._transport is None:
            return
        if self._tls is not None and self._tls.established:
            self._tls.close()
            self._transport.write(self._tls.take())
        self._transport.close()

    def kill(self) -> None:
        """Close now, whatever is unsent."""
        if self._transport is not None:
            self._transport.abort()

    def check(self, now: float) -> None:
        """Close a peer that does nothing where it should do something."""
        limits = self._dispatcher.limits
        stalled = self._stalled_since
        if stalled is not None and now - stalled > limits.stall_timeout:
            self.kill()
        elif self._engine is None:
            if now - self._opened > limits.handshake_timeout:
                self.kill()
        elif self._engine.overdue(now):
            self.kill()

    # --- inside

    def _sniff(self, data: bytes, now: float) -> None:
        self._first += data
        wire = sniff(self._first)
        if wire is None:
            return
        data, self._first = self._first, b""
        if wire is Wire.TLS and self._source is not None and self._tls is None:
            self._tls = TlsLayer(self._source)
            self._feed = self._decrypt
            self._decrypt(data, now)
        elif wire is Wire.TLS or (self._tls is None and not self._plain):
            if wire is Wire.HTTP1 and self._transport is not None:
                self._transport.write(_PLAIN_ON_TLS)
            self.close()
        else:
            self._start(wire, data, now)

    def _start(self, wire: Wire, data: bytes, now: float) -> None:
        certificate = {} if self._tls is None else self._tls.certificate
        peer = Peer(self._address, self._tls is not None, certificate)
        engine: _Engine
        if wire is Wire.HTTP2:
            engine = Session(self._dispatcher, peer, self._wake, now)
        else:
            engine = Http1Session(self._dispatcher, peer, self._wake, now)
        self._engine = engine
        if self._tls is None:
            self._feed = engine.receive
        if self._drain:
            engine.drain()
        engine.receive(data, now)

    def _decrypt(self, data: bytes, now: float) -> None:
        tls = self._tls
        assert tls is not None
        try:
            plain = tls.receive(data)
        except TlsError as error:
            self._server.note_tls_failure(self._address, error)
            if self._transport is not None:
                self._transport.write(tls.take())
                self._transport.close()
            return
        records = tls.take()
        if records and self._transport is not None:
            self._transport.write(records)
        if plain and self._engine is None:
            self._sniff(plain, now)
        elif plain and self._engine is not None:
            self._engine.receive(plain, now)
        if tls.ended:
            self.close()

    def _wake(self) -> None:
        if not self._dirty:
            self._dirty = True
            self._dispatcher.touch(self)

    def _write(self, data: bytes) -> None:
        if not data or self._transport is None:
            return
        self._dispatcher.bytes_out += len(data)
        if self._tls is not None:
            try:
                self._tls.send(data)
            except TlsError:
                self.kill()
                return
            data = self._tls.take()
        self._transport.write(data)

    def _check_reading(self) -> None:
        """Read no more from a peer that does not read, or whose requests wait."""
        if self._transport is None or self._transport.is_closing():
            return
        engine = self._engine
        pause = self._stalled_since is not None or (engine is not None and not engine.reading())
        if pause and not self._paused:
            self._transport.pause_reading()
        elif self._paused and not pause:
            self._transport.resume_reading()
        self._paused = pause


def _address(transport: asyncio.BaseTransport) -> str:
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        host, port = name[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(name or "")
