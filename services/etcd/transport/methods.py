"""The table of methods: what a server declares once, and all else is derived from.

A `Method` names a path, how request bytes become a message and a response becomes bytes,
and a handler whose shape depends on the kind:

    BATCH          handler(calls: list[UnaryCall]) -> None, once per tick with all the calls
                   that arrived; answers come by `call.reply` or `call.fail`, at any time.
                   Methods that share a handler share its batch, in order of arrival.
    UNARY          async handler(request, call) -> response
    SERVER_STREAM  async handler(request, call) -> None, with `await call.send(message)`
    CLIENT_STREAM  async handler(call) -> response, with `async for message in call`
    BIDI           async handler(call) -> None
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from services.etcd.transport.errors import GrpcError, Status, TransportError


class Kind(Enum):
    """The shape of a method and of its handler."""

    BATCH = "batch"
    UNARY = "unary"
    SERVER_STREAM = "server_stream"
    CLIENT_STREAM = "client_stream"
    BIDI = "bidi"

    @property
    def one_request(self) -> bool:
        """Whether the caller sends exactly one message."""
        return self in (Kind.BATCH, Kind.UNARY, Kind.SERVER_STREAM)

    @property
    def one_response(self) -> bool:
        """Whether the answer is exactly one message."""
        return self in (Kind.BATCH, Kind.UNARY, Kind.CLIENT_STREAM)


@dataclass(frozen=True, slots=True)
class Method:
    """One row of the table."""

    path: str
    """`/package.Service/Method`."""
    kind: Kind
    parse: Callable[[bytes], Any]
    serialise: Callable[[Any], bytes]
    handler: Callable[..., Any]
    malformed: tuple[type[Exception], ...] = (ValueError,)
    """What `parse` raises for bytes that are no message."""

    def __post_init__(self) -> None:
        if self.path.count("/") != 2 or not self.path.startswith("/"):
            raise TransportError(f"{self.path!r} is not a method's path", "/package.Service/Method")


@dataclass(slots=True)
class MethodStats:
    """Counters of one method, for metrics. Batched methods have one message each way."""

    started: int = 0
    messages_in: int = 0
    messages_out: int = 0
    ok: int = 0
    failed: dict[Status, int] = field(default_factory=dict)

    def fail(self, status: Status) -> None:
        """Count a call that ended with `status`."""
        self.failed[status] = self.failed.get(status, 0) + 1


class MethodTable(Mapping[bytes, Method]):
    """Methods by path, as bytes.

    Raises TransportError: a path occurs twice.
    """

    def __init__(self, methods: Iterable[Method]) -> None:
        self._methods: dict[bytes, Method] = {}
        self._services: set[str] = set()
        for method in methods:
            path = method.path.encode("ascii")
            if path in self._methods:
                raise TransportError(f"method {method.path} is declared twice")
            self._methods[path] = method
            self._services.add(method.path.split("/")[1])

    def __getitem__(self, path: bytes) -> Method:
        return self._methods[path]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._methods)

    def __len__(self) -> int:
        return len(self._methods)

    @property
    def services(self) -> frozenset[str]:
        """Names of all services, for reflection."""
        return frozenset(self._services)

    def unknown(self, path: bytes) -> GrpcError:
        """The answer to a call of a method that is not in the table."""
        service, slash, method = path.decode("utf-8", "replace").removeprefix("/").rpartition("/")
        if not slash or not path.startswith(b"/"):
            text = f'malformed method name: "{method}"'
        elif service in self._services:
            text = f"unknown method {method} for service {service}"
        else:
            text = f"unknown service {service}"
        return GrpcError(Status.UNIMPLEMENTED, text)
