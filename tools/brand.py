"""A brand: the name, texts, addresses and keys that make an image somebody's product.

A brand is a directory with `brand.toml`; everything it names lies inside that directory.
Another brand is another directory: no code and no other data names one.

Texts may use `$name`, `$id`, `$version`, `$channel` and `$pretty_name`; `$$` is a dollar.
Texts of the issue may also use agetty's escapes (agetty(8)), such as `\\4` for the address.
"""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tools.errors import StrakeError
from tools.version import BRANCHES, Version

_ID = re.compile(r"[a-z][a-z0-9._-]{0,31}")
_COLOUR = re.compile(r"[0-9]{1,3}(;[0-9]{1,3}){0,7}")
_URL = re.compile(r"https://[^\s\"'\\$`]+")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")


class BrandError(StrakeError):
    """A brand's directory or its brand.toml is not valid."""


@dataclass(frozen=True, slots=True)
class Urls:
    """Addresses people find in os-release and programs in their settings (https only)."""

    home: str
    documentation: str
    support: str
    bug_report: str
    vendor: str


@dataclass(frozen=True, slots=True)
class Keys:
    """Secure Boot: PEM files, RSA 2048 as all firmware knows; `test` when they are public."""

    secure_boot_key: Path
    secure_boot_certificate: Path
    test: bool


@dataclass(frozen=True, slots=True)
class Brand:
    """A valid brand; paths are absolute if its directory was given as such.

    `channels` maps alpha, beta and stable to the address of their releases; `update`
    is the address of the update server. `packages` come on top of the image's set;
    `overlay` and `kernel_fragments` on top of the tree's own, None or empty without.
    """

    directory: Path
    id: str
    name: str
    vendor: str
    colour: str
    hostname: str
    urls: Urls
    channels: Mapping[str, str]
    update: str
    issue: str
    motd: str
    logo: Path
    keys: Keys
    packages: tuple[str, ...] = ()
    overlay: Path | None = None
    kernel_fragments: tuple[Path, ...] = ()

    def pretty_name(self, version: Version) -> str:
        """The name shown to people, with the version."""
        return f"{self.name} {version}"


def load_brand(directory: Path) -> Brand:
    """The brand in a directory.

    Raises:
        BrandError: brand.toml is missing or wrong, or names a file that is not there.
    """
    path = directory / "brand.toml"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BrandError(f"no brand in {directory}", "a brand has a file brand.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BrandError(f"{path}: {error}") from error
    return _brand(_Table(document, str(path), directory))


def _brand(top: _Table) -> Brand:
    urls, text, keys = top.table("urls"), top.table("text"), top.table("keys")
    channels, add = top.table("channels"), top.table("add", needed=False)
    brand = Brand(
        directory=top.directory,
        id=top.text("id", _ID),
        name=top.text("name"),
        vendor=top.text("vendor"),
        colour=top.text("colour", _COLOUR),
        hostname=top.text("hostname", _ID),
        urls=Urls(*(urls.text(name, _URL) for name in Urls.__dataclass_fields__)),
        channels={name: channels.text(name, _URL) for name in BRANCHES},
        update=top.text("update", _URL),
        issue=text.template("issue"),
        motd=text.template("motd"),
        logo=top.file("logo"),
        keys=Keys(
            keys.file("secure_boot_key"),
            keys.file("secure_boot_certificate"),
            keys.flag("test"),
        ),
        packages=tuple(add.texts("packages", _PACKAGE)),
        overlay=next(iter(add.paths("overlay")), None),
        kernel_fragments=tuple(add.paths("kernel_fragments")),
    )
    for table in (urls, text, keys, channels, add, top):
        table.no_more()
    return brand


def render_files(brand: Brand, version: Version) -> dict[str, bytes]:
    """The files that show the brand, by path without a leading slash. Pure but for the logo."""
    return {
        "usr/lib/os-release": os_release(brand, version).encode(),
        "etc/issue": render(brand.issue, brand, version).encode(),
        "etc/issue.net": f"{brand.pretty_name(version)}\n".encode(),
        "etc/motd": render(brand.motd, brand, version).encode(),
        f"usr/share/pixmaps/{brand.id}.svg": brand.logo.read_bytes(),
    }


def render(template: str, brand: Brand, version: Version) -> str:
    """A text of the brand with its `$names` filled in."""
    return string.Template(template).substitute(_names(brand, version))


def os_release(brand: Brand, version: Version) -> str:
    """The content of os-release(5)."""
    fields = {
        "NAME": brand.name,
        "ID": brand.id,
        "VERSION": str(version),
        "VERSION_ID": str(version),
        "PRETTY_NAME": brand.pretty_name(version),
        "IMAGE_ID": brand.id,
        "IMAGE_VERSION": str(version),
        "SYSEXT_LEVEL": str(version.build),
        "ANSI_COLOR": brand.colour,
        "CPE_NAME": f"cpe:2.3:o:{brand.id}:{brand.id}:{version}:*:*:*:*:*:*:*",
        "VENDOR_NAME": brand.vendor,
        "VENDOR_URL": brand.urls.vendor,
        "HOME_URL": brand.urls.home,
        "DOCUMENTATION_URL": brand.urls.documentation,
        "SUPPORT_URL": brand.urls.support,
        "BUG_REPORT_URL": brand.urls.bug_report,
        "DEFAULT_HOSTNAME": brand.hostname,
        "LOGO": brand.id,
    }
    return "".join(f'{key}="{value}"\n' for key, value in fields.items())


def _names(brand: Brand, version: Version) -> dict[str, str]:
    return {
        "id": brand.id,
        "name": brand.name,
        "version": str(version),
        "channel": version.channel,
        "pretty_name": brand.pretty_name(version),
    }


_PLAIN = re.compile(r"[^\"\\$`\x00-\x1f]+")
_NAMES = dict.fromkeys(("id", "name", "version", "channel", "pretty_name"), "")


class _Table:
    """A TOML table that is read key by key; every error names file and key."""

    def __init__(self, value: object, where: str, directory: Path) -> None:
        if not isinstance(value, dict):
            raise BrandError(f"{where} must be a table")
        self._left = dict(value)
        self._where = where
        self.directory = directory

    def table(self, key: str, needed: bool = True) -> _Table:
        value = self._take(key) if needed else self._left.pop(key, {})
        return _Table(value, f"{self._where}: {key}", self.directory)

    def text(self, key: str, form: re.Pattern[str] = _PLAIN) -> str:
        value = self._take(key)
        if not isinstance(value, str) or not form.fullmatch(value):
            raise BrandError(f"{self._where}: {key} = {value!r}", f"want text like {form.pattern}")
        return value

    def template(self, key: str) -> str:
        value = self._take(key)
        if not isinstance(value, str):
            raise BrandError(f"{self._where}: {key} must be text")
        try:
            string.Template(value).substitute(_NAMES)
        except (KeyError, ValueError) as error:
            hint = "use " + ", ".join(f"${name}" for name in _NAMES) + ", and $$ for a dollar"
            raise BrandError(f"{self._where}: {key}: cannot fill in {error}", hint) from error
        return value

    def flag(self, key: str) -> bool:
        value = self._take(key)
        if not isinstance(value, bool):
            raise BrandError(f"{self._where}: {key} must be true or false")
        return value

    def texts(self, key: str, form: re.Pattern[str] = _PLAIN) -> list[str]:
        values = self._left.pop(key, [])
        if not isinstance(values, list) or not all(
            isinstance(value, str) and form.fullmatch(value) for value in values
        ):
            raise BrandError(f"{self._where}: {key} must be a list of texts like {form.pattern}")
        return values

    def file(self, key: str) -> Path:
        path = self._inside(self.text(key))
        if not path.is_file():
            raise BrandError(f"{self._where}: {key}: no file {path}")
        return path

    def paths(self, key: str) -> list[Path]:
        found = [self._inside(value) for value in self.texts(key)]
        for path in found:
            if not path.exists():
                raise BrandError(f"{self._where}: {key}: no {path}")
        return found

    def no_more(self) -> None:
        for key in sorted(self._left):
            raise BrandError(f"{self._where}: unknown key {key}", "take it out or mend its name")

    def _inside(self, text: str) -> Path:
        pure = PurePosixPath(text)
        if pure.is_absolute() or ".." in pure.parts:
            raise BrandError(f"{self._where}: {text} must lie inside the brand's directory")
        return self.directory / pure

    def _take(self, key: str) -> object:
        if key not in self._left:
            raise BrandError(f"{self._where}: {key} is missing")
        return self._left.pop(key)
