from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from tools.debian import aptsources, fakes, mirrors, settings
from tools.debian.errors import MirrorError
from tools.debian.mirrors import ContentMirror, DebianMirror
from tools.debian.transport import Transport

PACKAGE = fakes.locked("bash", b"")
HOST = "Types: deb\nURIs: http://host/debian\nSuites: older older-updates\nComponents: main\n"


@dataclass(frozen=True, slots=True)
class Machine:
    """A user's home, a store and /etc/apt."""

    root: Path

    def write(self, name: str, text: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def choose(self, **env: str) -> mirrors.Choice:
        home = {"HOME": str(self.root / "home"), **env}
        return mirrors.choose(self.root / "store", home, self.root / "apt")

    def choose_debian(self, **env: str) -> mirrors.Choice:
        home = {"HOME": str(self.root / "home"), **env}
        return mirrors.choose_debian(self.root / "store", home, self.root / "apt")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    made.write("apt/sources.list.d/debian.sources", HOST)
    made.write("store/mirror.json", json.dumps({"STRAKE_DEBIAN_MIRROR": "http://recorded"}))
    made.write("home/.config/strake/config.toml", '[mirror]\ndebian = "http://user"\n')
    return made


def _bases(choice: mirrors.Choice) -> list[str]:
    return [
        item.base if isinstance(item, ContentMirror) else item.debian for item in choice.mirrors
    ]


def test_the_first_place_decides(machine: Machine) -> None:
    both = {"STRAKE_MIRROR": "/m", "STRAKE_DEBIAN_MIRROR": "http://env"}
    assert _bases(machine.choose(**both)) == ["/m", "http://env/debian"]
    assert _bases(machine.choose(STRAKE_MIRROR="/m")) == ["/m"]
    assert _bases(machine.choose(STRAKE_DEBIAN_MIRROR="http://env")) == ["http://env/debian"]
    assert _bases(machine.choose()) == ["http://user/debian"]
    (machine.root / "home/.config/strake/config.toml").unlink()
    assert _bases(machine.choose()) == ["http://recorded/debian"]
    (machine.root / "store/mirror.json").unlink()
    assert _bases(machine.choose()) == ["http://host/debian"]


def test_indices_never_come_from_a_content_mirror(machine: Machine) -> None:
    assert _bases(machine.choose_debian(STRAKE_MIRROR="/m")) == ["http://user/debian"]


def test_no_mirror_at_all_is_one_error_that_names_the_variables(tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match="no Debian mirror is known") as caught:
        Machine(tmp_path).choose()
    assert "STRAKE_DEBIAN_MIRROR" in caught.value.hint
    assert "STRAKE_MIRROR" in caught.value.hint


@pytest.mark.parametrize(
    ("value", "debian", "security"),
    [
        ("http://m", "http://m/debian", "http://m/debian-security"),
        ("http://m/", "http://m/debian", "http://m/debian-security"),
        ("http://m/debian/", "http://m/debian", "http://m/debian-security"),
        ("http://m/a http://m/b/", "http://m/a", "http://m/b"),
        ("file:///srv/debian", "file:///srv/debian", "file:///srv/debian-security"),
        ("/srv", "/srv/debian", "/srv/debian-security"),
    ],
)
def test_forms_of_the_debian_mirror(value: str, debian: str, security: str) -> None:
    assert mirrors.parse_debian(value) == DebianMirror(debian, security)


@pytest.mark.parametrize("value", [" ", "a b c"])
def test_refuses_other_forms(value: str) -> None:
    with pytest.raises(MirrorError, match="not one or two URLs"):
        mirrors.parse_debian(value)


def test_urls_of_packages() -> None:
    digest = PACKAGE.sha256
    content = ContentMirror("/m").package_url(PACKAGE)
    assert content == f"/m/sha256/{digest[:2]}/{digest}"
    assert mirrors.parse_debian("http://m").package_url(PACKAGE) == f"http://m/{PACKAGE.pool}"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("sources.list", "deb http://m/debian old main", "http://m/debian"),
        (
            "sources.list",
            "deb [arch=amd64 trusted=yes] http://m/debian/ old x",
            "http://m/debian",
        ),
        ("sources.list", "deb copy:/srv/debian old main", "copy:/srv/debian"),
        ("sources.list", "# deb http://m/debian old main", None),
        ("sources.list", "deb-src http://m/debian old main", None),
        ("sources.list", "deb cdrom:[Debian]/ old main", None),
        ("sources.list", "deb http://m/ubuntu noble main", None),
        ("sources.list.d/a.list", "deb https://m/debian old main", "https://m/debian"),
        ("sources.list.d/a.sources", HOST, "http://host/debian"),
        ("sources.list.d/a.sources", f"{HOST}Enabled: no\n", None),
        ("sources.list.d/a.sources", HOST.replace("deb\n", "deb-src\n"), None),
        ("sources.list.d/a.sources", "not deb822", None),
        ("sources.list.d/a.txt", "deb http://m/debian old main", None),
    ],
)
def test_reads_the_hosts_sources(
    name: str, text: str, expected: str | None, tmp_path: Path
) -> None:
    Machine(tmp_path).write(name, text)
    found = mirrors.from_sources(aptsources.read(tmp_path))
    assert (found.debian if found else None) == expected


def test_takes_the_security_archive_where_it_is_named(tmp_path: Path) -> None:
    Machine(tmp_path).write(
        "sources.list",
        "deb http://m/debian old main\ndeb http://s/debian-security old-security main\n",
    )
    assert mirrors.from_sources(aptsources.read(tmp_path)) == DebianMirror(
        "http://m/debian", "http://s/debian-security"
    )


def test_follows_a_list_of_mirrors(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write("mirrors.list", "# ours\nhttp://m/debian priority:1\n")
    machine.write("sources.list", f"deb mirror+file:{tmp_path}/mirrors.list old main\n")
    assert mirrors.from_sources(aptsources.read(tmp_path)) == DebianMirror(
        "http://m/debian", "http://m/debian-security"
    )


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("home/.config/strake/config.toml", "[mirror", "cannot read"),
        ("home/.config/strake/config.toml", "mirror = 1", "mirror is not a table"),
        ("home/.config/strake/config.toml", '[mirror]\nurl = "x"', "unknown key mirror.url"),
        ("store/mirror.json", "{", "cannot read"),
        ("store/mirror.json", "[]", "is not an object"),
    ],
)
def test_a_broken_file_is_named(name: str, text: str, message: str, tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write(name, text)
    with pytest.raises(MirrorError, match=message) as caught:
        machine.choose()
    assert str(tmp_path / name) in caught.value.message


RECORDED = {"http_proxy": "http://recorded:1", "NO_PROXY": "localhost", "SSL_CERT_FILE": "/ca"}
APT = """
// Acquire::http::Proxy "http://commented:1";
Acquire::http::Proxy "http://apt:1";
Acquire::https::Proxy "DIRECT";
"""


@pytest.mark.parametrize(
    ("env", "recorded", "expected"),
    [
        (
            {},
            RECORDED,
            settings.Network({"http": "http://recorded:1", "no": "localhost"}, "/ca"),
        ),
        (
            {"https_proxy": "http://mine", "SSL_CERT_FILE": "/mine"},
            RECORDED,
            settings.Network(None, "/mine"),
        ),
        ({}, {}, settings.Network({"http": "http://apt:1"})),
    ],
    ids=["recorded", "the environment's", "apt's"],
)
def test_the_way_out(
    env: dict[str, str], recorded: dict[str, str], expected: settings.Network, tmp_path: Path
) -> None:
    machine = Machine(tmp_path)
    machine.write("store/mirror.json", json.dumps(recorded))
    machine.write("apt/apt.conf.d/80proxy", APT)
    assert settings.network(tmp_path / "store", env, tmp_path / "apt") == expected


def test_unreadable_certificates_are_named(tmp_path: Path) -> None:
    with pytest.raises(MirrorError, match=f"cannot read {tmp_path}/ca") as caught:
        Transport(settings.Network(cafile=f"{tmp_path}/ca"))
    assert "SSL_CERT_FILE" in caught.value.hint
