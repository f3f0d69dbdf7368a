"""Give a machine its firmware: OVMF from the tools tree, and variables of its own."""

from __future__ import annotations

import ssl
from pathlib import Path

from tools.vm.errors import VmError
from tools.vm.programs import Programs
from tools.vm.spec import Uefi
from tools.vm.uefivars import enrolled

_CODE = "usr/share/OVMF/OVMF_CODE_4M.fd"
_SECURE_CODE = "usr/share/OVMF/OVMF_CODE_4M.secboot.fd"
_VARIABLES = "usr/share/OVMF/OVMF_VARS_4M.fd"


def uefi(programs: Programs, directory: Path, certificate: Path | None = None) -> Uefi:
    """Firmware with fresh variables in `directory`.

    With a certificate (X.509, PEM or DER) Secure Boot is on, and only what that
    certificate's key signed boots.

    Raises:
        VmError: the tree has no firmware, or the certificate cannot be used.
    """
    flash = programs.file(_VARIABLES).read_bytes()
    if certificate is not None:
        flash = enrolled(flash, der(certificate))
    variables = directory / "variables.fd"
    variables.write_bytes(flash)
    code = programs.file(_CODE if certificate is None else _SECURE_CODE)
    return Uefi(code, variables, secure=certificate is not None)


def der(certificate: Path) -> bytes:
    """The certificate's DER form.

    Raises:
        VmError: it cannot be read, or is neither PEM nor DER.
    """
    try:
        data = certificate.read_bytes()
        if data.startswith(b"\x30\x82"):
            return data
        return ssl.PEM_cert_to_DER_cert(data.decode("ascii").strip())
    except (OSError, ValueError) as error:
        raise VmError(f"{certificate} is no X.509 certificate: {error}") from error
