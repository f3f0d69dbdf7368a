"""Ports, the peers on them, and their graceful end.

    server = Server(MethodTable(rows), http=handler)
    await server.listen("127.0.0.1", 2379)
    …
    await server.stop(grace=5.0)

`server.tick()` writes what the application has just answered; without it that happens one
turn of the loop later.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Mapping

from services.etcd.transport.dispatch import Dispatcher
from services.etcd.transport.errors import TransportError
from services.etcd.transport.http import HttpHandler
from services.etcd.transport.limits import Limits
from services.etcd.transport.link import Link
from services.etcd.transport.methods import MethodStats, MethodTable
from services.etcd.transport.tls import TlsConfig, TlsError, TlsSource

log = logging.getLogger("strake.etcd.transport")

_BACKLOG = 1024
_CHECK_EVERY = 1.0
_NOTICE = 1.0
"""Seconds that peers get to hear of a drain before new requests are ignored."""


class Server:
    """All ports share the table of methods, the batches and the limits."""

    def __init__(
        self,
        methods: MethodTable,
        http: HttpHandler | None = None,
        limits: Limits | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        self._loop = loop or asyncio.get_running_loop()
        self.dispatcher = Dispatcher(self._loop, methods, http, limits)
        self._links: dict[Link, None] = {}
        self._servers: list[asyncio.Server] = []
        self._checker: asyncio.TimerHandle | None = None
        self._empty: asyncio.Future[None] | None = None
        self._stopping = False

    # --- ports

    async def listen(
        self,
        host: str,
        port: int,
        tls: TlsConfig | None = None,
        plain: bool | None = None,
        reuse_port: bool = False,
    ) -> tuple[str, int]:
        """Serve on a TCP port; returns the address bound. With `tls`, `plain` adds plain text.

        Raises TransportError: the port cannot be had. TlsError: see `make_context`.
        """
        source = TlsSource(tls) if tls else None
        allow = plain if plain is not None else tls is None
        try:
            server = await self._loop.create_server(
                lambda: Link(self, source, allow),
                host,
                port,
                backlog=_BACKLOG,
                reuse_port=reuse_port or None,
            )
        except OSError as error:
            raise TransportError(
                f"cannot listen on {host}:{port}: {error.strerror}", "is another server running?"
            ) from error
        self._servers.append(server)
        bound = server.sockets[0].getsockname()
        return bound[0], bound[1]

    async def listen_unix(self, path: str) -> None:
        """Serve on a Unix socket.

        Raises TransportError: the path cannot be bound.
        """
        try:
            server = await self._loop.create_unix_server(
                lambda: Link(self, None, True), path, backlog=_BACKLOG
            )
        except OSError as error:
            raise TransportError(f"cannot listen on {path}: {error.strerror}") from error
        self._servers.append(server)

    async def listen_socket(self, sock: socket.socket, tls: TlsConfig | None = None) -> None:
        """Serve on a listening socket that somebody else made (socket activation)."""
        source = TlsSource(tls) if tls else None
        server = await self._loop.create_server(
            lambda: Link(self, source, tls is None), sock=sock, backlog=_BACKLOG
        )
        self._servers.append(server)

    # --- while serving

    def tick(self) -> None:
        """Hand out waiting batches and write all answers now."""
        self.dispatcher.tick()

    @property
    def connections(self) -> int:
        """Open connections."""
        return len(self._links)

    @property
    def stats(self) -> Mapping[bytes, MethodStats]:
        """Counters by method's path."""
        return self.dispatcher.stats

    # --- the end

    async def stop(self, grace: float = 5.0) -> None:
        """Stop listening, let calls end for at most `grace` seconds, then cut what is left."""
        self._stopping = True
        for server in self._servers:
            server.close()
        for link in list(self._links):
            link.drain()
        if grace > 0:
            self._loop.call_later(min(_NOTICE, grace / 2), self._finish_drain)
            await self._wait_empty(grace)
        for link in list(self._links):
            link.kill()
        await self._wait_empty(_NOTICE)
        if self._checker is not None:
            self._checker.cancel()
            self._checker = None

    def _finish_drain(self) -> None:
        for link in list(self._links):
            link.finish_drain()

    async def _wait_empty(self, timeout: float) -> None:
        if not self._links:
            return
        self._empty = self._loop.create_future()
        await asyncio.wait([self._empty], timeout=timeout)
        self._empty = None

    # --- for links

    def admit(self, link: Link) -> bool:
        """A new connection; False when there are too many."""
        bound = self.dispatcher.limits.connections
        self._links[link] = None
        if self._checker is None:
            self._checker = self._loop.call_later(_CHECK_EVERY, self._check)
        return not self._stopping and (not bound or len(self._links) <= bound)

    def forget(self, link: Link) -> None:
        """A connection is gone."""
        self._links.pop(link, None)
        if not self._links and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)

    def note_tls_failure(self, address: str, error: TlsError) -> None:
        """A handshake failed."""
        log.warning("rejected connection from %s: %s", address, error.message)

    def _check(self) -> None:
        """Once a second, while there are connections: timeouts and keepalive."""
        now = self._loop.time()
        for link in list(self._links):
            link.check(now)
        self._checker = None
        if self._links:
            self._checker = self._loop.call_later(_CHECK_EVERY, self._check)
