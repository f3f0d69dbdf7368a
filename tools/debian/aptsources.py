"""The host's apt sources, read for one thing: where it gets Debian from.

The suites named there do not matter, only the base URLs: a mirror that serves the host's
release serves ours. Both formats are read (sources.list(5)): one-line and deb822.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.debian import deb822

SCHEMES = ("http", "https", "file", "copy")

_PROXY = re.compile(r'^\s*Acquire::(https?)::proxy\s+"([^"]*)"\s*;', re.MULTILINE | re.IGNORECASE)
_LINE = re.compile(r"deb\s+(?:\[[^]]*\]\s+)?(\S+)\s+(\S+)")


@dataclass(frozen=True, slots=True)
class Source:
    """One base URL without trailing slash, and one suite it is used for."""

    url: str
    suite: str

    @property
    def archive(self) -> str:
        """`debian`, `debian-security`, or "" for another vendor's archive."""
        last = self.url.rsplit("/", 1)[-1]
        if last in ("debian", "debian-security"):
            return last
        return "debian-security" if last == "security" and "debian" in self.url else ""


def read(etc_apt: Path) -> tuple[Source, ...]:
    """All enabled sources below /etc/apt, in apt's order. Unreadable files count as empty."""
    files = [etc_apt / "sources.list"]
    parts = etc_apt / "sources.list.d"
    if parts.is_dir():
        files += sorted(path for path in parts.iterdir() if path.suffix in (".list", ".sources"))
    found: list[Source] = []
    for path in files:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        entries = _deb822(text) if path.suffix == ".sources" else _lines(text)
        found += [source for url, suite in entries for source in _expand(url, suite)]
    return tuple(dict.fromkeys(found))


def proxies(etc_apt: Path) -> dict[str, str]:
    """Proxies that apt is told to use, named as in the environment; apt.conf(5), flat form."""
    files = [etc_apt / "apt.conf"]
    if (parts := etc_apt / "apt.conf.d").is_dir():
        files = [*sorted(parts.iterdir()), *files]
    found: dict[str, str] = {}
    for path in files:
        try:
            text = path.read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        found |= {f"{scheme.lower()}_proxy": url for scheme, url in _PROXY.findall(text)}
    if "http_proxy" in found:
        found.setdefault("https_proxy", found["http_proxy"])
    return {name: url for name, url in found.items() if "://" in url}


def _lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        if match := _LINE.match(line.strip()):
            yield match[1], match[2]


def _deb822(text: str) -> Iterator[tuple[str, str]]:
    try:
        found = list(deb822.stanzas(text))
    except deb822.Deb822Error:
        return
    for fields in found:
        if "deb" not in fields.get("types", "").split() or _disabled(fields):
            continue
        for url in fields.get("uris", "").split():
            for suite in fields.get("suites", "").split():
                yield url, suite


def _disabled(fields: deb822.Stanza) -> bool:
    return fields.get("enabled", "yes").lower() in (
        "no",
        "false",
        "0",
        "off",
        "without",
    )


def _expand(url: str, suite: str) -> Iterator[Source]:
    # mirror+file: is how cloud images name their mirrors: a file with one URL a line.
    if url.startswith("mirror+file:"):
        try:
            lines = Path(url.removeprefix("mirror+file:")).read_text("utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return
        urls = [words[0] for line in lines if (words := line.split()) and words[0][0] != "#"]
    else:
        urls = [url]
    for one in urls:
        if one.split(":", 1)[0] in SCHEMES:
            yield Source(one.rstrip("/"), suite)
