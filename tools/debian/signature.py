"""OpenPGP signatures of release files, checked by gpgv against the pinned archive keys.

Only the text that gpgv itself writes out is believed, never the file as it came: what
stands outside the signed part of a clear-signed file means nothing. Debian signs with the
keys of several releases at once; one good signature by a pinned key is enough, a bad one
is always too much.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.debian.errors import SignatureError
from tools.proc import run

_END = "-----END PGP PUBLIC KEY BLOCK-----"
_BEGIN = "-----BEGIN PGP PUBLIC KEY BLOCK-----"


def verify(
    signed: bytes,
    keys: Sequence[Path],
    what: str,
    gpgv: Sequence[str] = ("gpgv",),
) -> str:
    """The signed text of a clear-signed file.

    Args:
        signed: the file as the mirror gave it.
        keys: armoured public keys, each of which may sign.
        what: name of the file in messages.
        gpgv: the program, with the words that go before its options.

    Raises:
        SignatureError: no pinned key signed it, or a signature is bad.
        ProgramNotFound: there is no gpgv.
    """
    with tempfile.TemporaryDirectory(prefix="strake-gpgv-") as name:
        home = Path(name)
        (home / "keyring.gpg").write_bytes(b"".join(dearmour(key) for key in keys))
        (home / "signed").write_bytes(signed)
        done = run(
            [
                *gpgv,
                "--homedir",
                home,
                "--status-fd",
                "1",
                "--keyring",
                home / "keyring.gpg",
                "--output",
                home / "text",
                home / "signed",
            ],
            check=False,
        )
        status = [line.split()[1:] for line in done.text.splitlines() if "[GNUPG:]" in line]
        _judge(status, what)
        return (home / "text").read_text("utf-8")


def dearmour(path: Path) -> bytes:
    """The packets of an armoured key. Raises SignatureError when it is not one."""
    try:
        text = path.read_text("ascii")
        body = text[text.index(_BEGIN) : text.index(_END)].replace("\r", "")
        lines = body.split("\n\n", 1)[1].split()
        return base64.b64decode(
            "".join(line for line in lines if not line.startswith("=")), None, True
        )
    except (OSError, ValueError, IndexError, binascii.Error) as error:
        raise SignatureError(f"{path} is not an armoured public key") from error


def _judge(status: Sequence[Sequence[str]], what: str) -> None:
    words = {line[0] for line in status if line}
    signers = [line[1] for line in status if line and line[0] == "VALIDSIG"]
    if words & {"BADSIG", "NODATA", "UNEXPECTED"} or not words:
        raise SignatureError(
            f"{what}: the signature does not match the content",
            "the mirror or something on the way to it changed the file; use another mirror",
        )
    expired = words & {"EXPKEYSIG", "REVKEYSIG", "EXPSIG"}
    if not signers or "GOODSIG" not in words:
        unknown = sorted({line[1] for line in status if line and line[0] == "NO_PUBKEY"})
        why = "by an expired or revoked key" if expired else f"by {', '.join(unknown) or 'nobody'}"
        raise SignatureError(
            f"{what}: signed {why}, not by a key in os/packages/keys",
            "check the mirror; new archive keys are added to os/packages/keys by hand",
        )
