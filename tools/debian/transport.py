"""Reading files from a mirror: http, https, file and copy, in chunks, from an offset.

Proxies and certificates come from `settings.network`. Nothing that comes
through here is trusted: callers compare hashes.
"""

from __future__ import annotations

import http.client
import io
import os
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast
from urllib.parse import unquote, urlsplit

from tools.debian.errors import MirrorError, MissingError
from tools.debian.settings import Network

TIMEOUT_S = 30.0
CHUNK = 1 << 18
MEND = (
    "check the network, or set STRAKE_DEBIAN_MIRROR to a Debian mirror"
    " or STRAKE_MIRROR to a directory made by ./strake mirror sync"
)

_ABSENT = (404, 410)


@dataclass(frozen=True, slots=True)
class Body:
    """An open file: bytes from `offset` on; `offset` is 0 when the mirror cannot resume."""

    stream: IO[bytes]
    offset: int

    def chunks(self) -> Iterator[bytes]:
        """The bytes. Raises MirrorError when the connection breaks."""
        while True:
            try:
                chunk = self.stream.read(CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise MirrorError(f"the connection broke: {_reason(error)}", MEND) from error
            if not chunk:
                return
            yield chunk


class Transport:
    """Opens URLs. One per run; safe to use from several threads."""

    def __init__(self, network: Network = Network()) -> None:  # noqa: B008  # it is frozen
        """Raises MirrorError when the certificates to trust cannot be read."""
        proxies = network.proxies
        handler = urllib.request.ProxyHandler(None if proxies is None else dict(proxies))
        try:
            context = ssl.create_default_context(
                cafile=network.cafile or None, capath=network.capath or None
            )
        except OSError as error:
            where = network.cafile or network.capath
            raise MirrorError(
                f"cannot read {where}: {_reason(error)}", "set SSL_CERT_FILE"
            ) from error
        self._opener = urllib.request.build_opener(
            handler, urllib.request.HTTPSHandler(context=context)
        )
        self._opener.addheaders = [("User-Agent", "strake")]

    @contextmanager
    def open(self, url: str, offset: int = 0) -> Iterator[Body]:
        """Open a URL or a plain path for reading, from `offset` if the other side can.

        Raises:
            MissingError: the other side says that there is no such file.
            MirrorError: it does not answer, or answers with another failure.
        """
        path = local_path(url)
        if path is not None:
            with _open_file(path) as stream:
                stream.seek(offset)
                yield Body(stream, offset)
            return
        with self._request(url, "GET", offset) as answer:
            if answer.status == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # The file ends where we wanted to go on: nothing more to read.
                yield Body(io.BytesIO(), offset)
                return
            resumed = answer.status == http.HTTPStatus.PARTIAL_CONTENT
            yield Body(answer, offset if resumed else 0)

    def exists(self, url: str) -> int | None:
        """Size in bytes of a file that is there (-1 if not told), None if it is not.

        Raises:
            MirrorError: the other side does not answer.
        """
        path = local_path(url)
        if path is not None:
            try:
                return path.stat().st_size
            except (FileNotFoundError, NotADirectoryError):
                return None
            except OSError as error:
                raise MirrorError(f"cannot read {path}: {_reason(error)}", MEND) from error
        try:
            with self._request(url, "HEAD", 0) as answer:
                return int(answer.headers.get("Content-Length", -1))
        except MissingError:
            return None

    def read(self, url: str, limit: int) -> bytes:
        """A whole small file of at most `limit` bytes. Raises as `open`, or when larger."""
        data = bytearray()
        with self.open(url) as body:
            for chunk in body.chunks():
                data += chunk
                if len(data) > limit:
                    raise MirrorError(f"{url} is larger than {limit} bytes", MEND)
        return bytes(data)

    def _request(self, url: str, method: str, offset: int) -> http.client.HTTPResponse:
        request = urllib.request.Request(url, method=method)  # local_path saw it
        if offset:
            request.add_header("Range", f"bytes={offset}-")
        try:
            answer: http.client.HTTPResponse = self._opener.open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return cast(http.client.HTTPResponse, error)
            error.close()
            if error.code in _ABSENT:
                raise MissingError(f"{url}: not there ({error.code})", MEND) from error
            raise MirrorError(f"{url}: the mirror answered {error.code}", MEND) from error
        except (OSError, http.client.HTTPException) as error:
            raise MirrorError(f"cannot reach {url}: {_reason(error)}", MEND) from error
        return answer


def local_path(url: str) -> Path | None:
    """The path behind a plain path, file: or copy: URL; None for a URL of the network.

    Raises:
        MirrorError: the scheme is none that is spoken here.
    """
    if url.startswith("/"):
        return Path(url)
    parts = urlsplit(url)
    if parts.scheme in ("file", "copy"):
        return Path(unquote(parts.path))
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise MirrorError(f"{url!r} is neither a directory nor an http, https or file URL", MEND)
    return None


def _open_file(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(f"{path}: not there", MEND) from error
    except OSError as error:
        raise MirrorError(f"cannot read {path}: {_reason(error)}", MEND) from error


def _reason(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, OSError) and cause.strerror:
        return os.fspath(cause.strerror).lower()
    return str(cause).lower() or type(cause).__name__
