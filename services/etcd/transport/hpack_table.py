"""HPACK's static table (RFC 7541 appendix A) and the dynamic one (section 2.3.2)."""

from __future__ import annotations

from typing import Final

Field = tuple[bytes, bytes]

STATIC: Final[tuple[Field, ...]] = (
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
)

STATIC_SIZE: Final = len(STATIC)
STATIC_FIELD: Final = {field: index for index, field in enumerate(STATIC, 1)}
STATIC_NAME: Final = {name: index for index, (name, _) in reversed(list(enumerate(STATIC, 1)))}

ENTRY_OVERHEAD: Final = 32
DEFAULT_SIZE: Final = 4096


class DynamicTable:
    """Recently seen fields; the newest has index 62. Sizes count 32 bytes per entry."""

    __slots__ = ("entries", "limit", "size")

    def __init__(self, limit: int = DEFAULT_SIZE) -> None:
        self.entries: list[Field] = []
        """Oldest first: index i of HPACK is `entries[STATIC_SIZE - i]`, counted from the end."""
        self.limit = limit
        self.size = 0

    def add(self, field: Field) -> None:
        """Insert; a field larger than the table empties it (4.4)."""
        self.size += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        self.entries.append(field)
        if self.size > self.limit:
            self._evict()

    def resize(self, limit: int) -> None:
        """Change the bound, dropping the oldest entries above it."""
        self.limit = limit
        if self.size > limit:
            self._evict()

    def find(self, field: Field) -> int:
        """The HPACK index of `field`, or 0."""
        for back, entry in enumerate(reversed(self.entries), STATIC_SIZE + 1):
            if entry == field:
                return back
        return 0

    def _evict(self) -> None:
        drop = 0
        for name, value in self.entries:
            self.size -= len(name) + len(value) + ENTRY_OVERHEAD
            drop += 1
            if self.size <= self.limit:
                break
        del self.entries[:drop]
