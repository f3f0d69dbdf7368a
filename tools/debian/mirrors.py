"""Which mirror to read from, and where in it a file lies.

The first place that names a mirror decides: environment, user's config file, what ./pants
recorded in the store, the host's apt sources. Within one place the content mirror is
asked first and the Debian mirror, if that place names one too, has what it lacks.

`STRAKE_MIRROR` is a directory or URL made by `./strake mirror sync`; a package lies in it
at `sha256/ab/abcdef…`. `STRAKE_DEBIAN_MIRROR` is either the URL of the directory that
holds `debian/` and `debian-security/`, or, if its last part is `debian`, that archive
itself, with `debian-security` taken to lie beside it; where that does not fit, two URLs
with a space between: the archive's, then the security archive's.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.debian import aptsources, settings
from tools.debian.errors import MirrorError
from tools.debian.lock import LockedPackage

_NONE = MirrorError(
    "no Debian mirror is known: nothing is set and this host's apt names none",
    "set STRAKE_DEBIAN_MIRROR to the URL that holds debian/ and debian-security/"
    " (or STRAKE_MIRROR to a directory made by ./strake mirror sync)",
)


@dataclass(frozen=True, slots=True)
class ContentMirror:
    """Package files by hash, below `base` (no trailing slash)."""

    base: str

    def package_url(self, package: LockedPackage) -> str:
        """Where the package would lie."""
        return f"{self.base}/sha256/{package.sha256[:2]}/{package.sha256}"


@dataclass(frozen=True, slots=True)
class DebianMirror:
    """Debian's own layout: base URLs of the main and of the security archive."""

    debian: str
    security: str

    def archive_url(self, archive: str) -> str:
        """Base URL of `debian` or `debian-security`."""
        return self.security if archive == "debian-security" else self.debian

    def package_url(self, package: LockedPackage) -> str:
        """Where the package lies as long as the archive keeps it."""
        archive, _, path = package.pool.partition("/")
        return f"{self.archive_url(archive)}/{path}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The mirrors to try, in order, and the place that named them, for messages."""

    mirrors: tuple[ContentMirror | DebianMirror, ...]
    origin: str

    @property
    def debian(self) -> DebianMirror | None:
        """The mirror that has indices, if there is one."""
        return next((item for item in self.mirrors if isinstance(item, DebianMirror)), None)


def choose(
    store: Path, env: Mapping[str, str] = os.environ, etc_apt: Path = settings.ETC_APT
) -> Choice:
    """The mirrors for packages.

    Raises:
        MirrorError: no place names one, or one cannot be understood.
    """
    for origin, values in settings.layers(store, env):
        content, debian = (
            values.get(settings.CONTENT, ""),
            values.get(settings.DEBIAN, ""),
        )
        found: list[ContentMirror | DebianMirror] = []
        if content:
            found.append(ContentMirror(_absolute(content)))
        if debian:
            found.append(parse_debian(debian))
        if found:
            return Choice(tuple(found), origin)
    if (host := from_sources(aptsources.read(etc_apt))) is not None:
        return Choice((host,), "the host's apt sources")
    raise _NONE


def choose_debian(
    store: Path, env: Mapping[str, str] = os.environ, etc_apt: Path = settings.ETC_APT
) -> Choice:
    """The mirror for indices: as `choose`, but passing over content mirrors.

    Raises:
        MirrorError: no place names one, or one cannot be understood.
    """
    for origin, values in settings.layers(store, env):
        if debian := values.get(settings.DEBIAN, ""):
            return Choice((parse_debian(debian),), origin)
    if (host := from_sources(aptsources.read(etc_apt))) is not None:
        return Choice((host,), "the host's apt sources")
    raise _NONE


def parse_debian(value: str) -> DebianMirror:
    """Read the value of `STRAKE_DEBIAN_MIRROR`, as the module says.

    Raises:
        MirrorError: it holds more than two URLs or none.
    """
    urls = [_absolute(url) for url in value.split()]
    if len(urls) == 2:
        return DebianMirror(urls[0], urls[1])
    if len(urls) != 1:
        raise MirrorError(
            f"STRAKE_DEBIAN_MIRROR is not one or two URLs: {value!r}",
            "give the URL that holds debian/ and debian-security/",
        )
    base = urls[0]
    if base.rsplit("/", 1)[-1] == "debian":
        return DebianMirror(base, f"{base}-security")
    return DebianMirror(f"{base}/debian", f"{base}/debian-security")


def from_sources(sources: Sequence[aptsources.Source]) -> DebianMirror | None:
    """The host's mirror; the security archive is looked for beside the main one if unnamed."""
    named: dict[str, str] = {}
    for source in sources:
        if source.archive:
            named.setdefault(source.archive, source.url)
    if "debian" not in named:
        return None
    return DebianMirror(
        named["debian"], named.get("debian-security", f"{named['debian']}-security")
    )


def _absolute(value: str) -> str:
    value = value.strip()
    if "://" in value or value.startswith(("file:", "copy:")):
        return value.rstrip("/")
    return os.path.abspath(os.path.expanduser(value))
