"""Tests of `tools.brand`."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tools.brand import BrandError, load_brand, os_release, render_files
from tools.version import Version

VERSION = Version(324, 0, 1)

GOOD = r"""
id = "acme"
name = "Acme Box"
vendor = "Acme"
colour = "1;34"
hostname = "box"
logo = "logo.svg"
update = "https://update.example.org/"
[urls]
home = "https://example.org"
documentation = "https://example.org/docs"
support = "https://example.org/support"
bug_report = "https://example.org/bugs"
vendor = "https://example.org"
[channels]
alpha = "https://example.org/a"
beta = "https://example.org/b"
stable = "https://example.org/s"
[text]
issue = '$pretty_name on \n costs $$1'
motd = '$name/$channel'
[keys]
secure_boot_key = "sb.key"
secure_boot_certificate = "sb.crt"
test = true
[add]
packages = ["vim-tiny"]
overlay = ["overlay"]
kernel_fragments = ["more.config"]
"""


def write(directory: Path, text: str = GOOD) -> Path:
    for name in ("logo.svg", "sb.key", "sb.crt", "more.config"):
        (directory / name).write_text("x")
    (directory / "overlay").mkdir(exist_ok=True)
    (directory / "brand.toml").write_text(text)
    return directory


def test_load(tmp_path: Path) -> None:
    brand = load_brand(write(tmp_path))
    assert (brand.id, brand.name, brand.packages) == ("acme", "Acme Box", ("vim-tiny",))
    assert brand.overlay == tmp_path / "overlay"
    assert brand.kernel_fragments == (tmp_path / "more.config",)
    assert brand.channels["beta"] == "https://example.org/b"


def test_add_may_be_left_out(tmp_path: Path) -> None:
    brand = load_brand(write(tmp_path, GOOD[: GOOD.index("[add]")]))
    assert (brand.packages, brand.overlay, brand.kernel_fragments) == ((), None, ())


def test_files(tmp_path: Path) -> None:
    files = render_files(load_brand(write(tmp_path)), VERSION)
    assert files["etc/issue"] == b"Acme Box 324.0.1 on \\n costs $1"
    assert files["etc/motd"] == b"Acme Box/alpha"
    assert files["usr/share/pixmaps/acme.svg"] == b"x"


def test_os_release_is_read_back_by_a_shell(tmp_path: Path) -> None:
    text = os_release(load_brand(write(tmp_path)), VERSION)
    fields = dict(word.split("=", 1) for word in shlex.split(text))
    assert fields["PRETTY_NAME"] == "Acme Box 324.0.1"
    assert fields["VERSION_ID"] == fields["IMAGE_VERSION"] == "324.0.1"
    assert fields["DEFAULT_HOSTNAME"] == "box"


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        pytest.param('id = "acme"', "id = [", "brand.toml: ", id="not-toml"),
        pytest.param('id = "acme"', "", "id is missing", id="missing"),
        pytest.param('id = "acme"', 'id = "Acme Box"', "id = 'Acme Box'", id="bad-id"),
        pytest.param('"Acme Box"', '"A\\"B"', "name = ", id="quote-in-name"),
        pytest.param('"1;34"', '"red"', "colour = 'red'", id="colour"),
        pytest.param("https://example.org/bugs", "http://x", "urls: bug_report", id="plain-http"),
        pytest.param("[urls]\nhome", "[urls]\nhom", "urls: home is missing", id="typo"),
        pytest.param("[channels]\n", "[channels]\nlts = 1\n", "unknown key lts", id="unknown"),
        pytest.param("$name/$channel", "$nam", "motd: cannot fill in 'nam'", id="placeholder"),
        pytest.param("'$name/$channel'", "1", "motd must be text", id="not-text"),
        pytest.param("test = true", "test = 1", "must be true or false", id="flag"),
        pytest.param('"sb.key"', '"gone.key"', "no file", id="no-file"),
        pytest.param('"sb.key"', '"../sb.key"', "must lie inside", id="outside"),
        pytest.param('["more.config"]', '["no.config"]', "kernel_fragments: no ", id="no-fragment"),
        pytest.param('["vim-tiny"]', '"vim-tiny"', "must be a list", id="not-a-list"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in GOOD
    with pytest.raises(BrandError, match=says):
        load_brand(write(tmp_path, GOOD.replace(old, new)))


def test_no_brand(tmp_path: Path) -> None:
    with pytest.raises(BrandError, match="no brand in"):
        load_brand(tmp_path)


def test_the_brand_of_this_tree_is_valid() -> None:
    brand = load_brand(Path("os/brands/strake"))
    assert brand.keys.test
    assert brand.keys.secure_boot_key.name.startswith("test-")
    assert render_files(brand, VERSION)
