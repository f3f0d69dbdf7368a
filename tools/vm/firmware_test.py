from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tools.vm.errors import VmError
from tools.vm.firmware import der, uefi
from tools.vm.programs import Programs
from tools.vm.uefivars import variables
from tools.vm.uefivars_test import flash

DER = b"\x30\x82\x01\x00certificate"
PEM = b"-----BEGIN CERTIFICATE-----\n%s\n-----END CERTIFICATE-----\n" % base64.b64encode(DER)


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    directory = tmp_path / "tree/usr/share/OVMF"
    directory.mkdir(parents=True)
    for name in ("OVMF_CODE_4M.fd", "OVMF_CODE_4M.secboot.fd"):
        (directory / name).touch()
    (directory / "OVMF_VARS_4M.fd").write_bytes(flash())
    return Programs(tmp_path / "tree")


def test_variables_are_a_copy(programs: Programs, tmp_path: Path) -> None:
    boot = uefi(programs, tmp_path)
    assert boot.code.name == "OVMF_CODE_4M.fd"
    assert boot.variables.read_bytes() == flash()
    assert not boot.secure


@pytest.mark.parametrize("text", [PEM, DER], ids=["pem", "der"])
def test_secure_boot_has_keys(programs: Programs, tmp_path: Path, text: bytes) -> None:
    certificate = tmp_path / "db.crt"
    certificate.write_bytes(text)
    boot = uefi(programs, tmp_path, certificate)
    assert boot.secure and boot.code.name == "OVMF_CODE_4M.secboot.fd"
    found = {variable.name: variable.data for variable in variables(boot.variables.read_bytes())}
    assert found["PK"].endswith(DER)


@pytest.mark.parametrize("content", [b"hello", b"\xff\xfe", None], ids=["text", "binary", "none"])
def test_other_files_are_no_certificates(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(VmError, match="no X.509 certificate"):
        der(path)
