from __future__ import annotations

import base64
import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tools.debian import fakes, signature
from tools.debian.errors import SignatureError

pytestmark = pytest.mark.skipif(
    not (shutil.which("gpg") and shutil.which("gpgv")), reason="needs gpg to make a key"
)

TEXT = "Codename: stable\nDate: today\n"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fakes.Key]:
    with fakes.signing_key(tmp_path_factory.mktemp("key")) as made:
        yield made


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fakes.Key]:
    with fakes.signing_key(tmp_path_factory.mktemp("other"), "Other") as made:
        yield made


def test_returns_the_signed_text(key: fakes.Key) -> None:
    assert signature.verify(fakes.clear_sign(TEXT, key), [key.public], "InRelease") == TEXT


def test_one_pinned_key_of_several_is_enough(key: fakes.Key, other: fakes.Key) -> None:
    signed = fakes.clear_sign(TEXT, key)
    assert signature.verify(signed, [other.public, key.public], "InRelease") == TEXT


def test_refuses_another_key(key: fakes.Key, other: fakes.Key) -> None:
    with pytest.raises(SignatureError, match="not by a key in os/packages/keys"):
        signature.verify(fakes.clear_sign(TEXT, other), [key.public], "InRelease")


def test_refuses_a_changed_text(key: fakes.Key) -> None:
    signed = fakes.clear_sign(TEXT, key).replace(b"today", b"never")
    with pytest.raises(SignatureError, match="does not match the content"):
        signature.verify(signed, [key.public], "InRelease")


@pytest.mark.parametrize(
    "signed",
    [b"", TEXT.encode(), b"-----BEGIN PGP SIGNED MESSAGE-----\n\n" + TEXT.encode()],
    ids=["empty", "unsigned", "signature cut off"],
)
def test_refuses_what_is_not_signed(signed: bytes, key: fakes.Key) -> None:
    with pytest.raises(SignatureError):
        signature.verify(signed, [key.public], "InRelease")


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_text_outside_the_signature_means_nothing(before: bool, key: fakes.Key) -> None:
    signed, extra = fakes.clear_sign(TEXT, key), b"Codename: evil\n"
    whole = extra + signed if before else signed + extra
    # Newer versions of gpgv refuse such a file altogether, which is as good.
    with contextlib.suppress(SignatureError):
        assert signature.verify(whole, [key.public], "InRelease") == TEXT


def test_dearmour_gives_the_packets(tmp_path: Path) -> None:
    path = tmp_path / "key.asc"
    body = base64.b64encode(b"packets").decode()
    begin, end = "-----BEGIN PGP PUBLIC KEY BLOCK-----", "-----END PGP PUBLIC KEY BLOCK-----"
    path.write_text(f"{begin}\nComment: x\n\n{body}\n=AAAA\n{end}\n")
    assert signature.dearmour(path) == b"packets"


def test_dearmour_refuses_other_files(tmp_path: Path) -> None:
    (tmp_path / "key.asc").write_text("no key")
    with pytest.raises(SignatureError, match="not an armoured public key"):
        signature.dearmour(tmp_path / "key.asc")
