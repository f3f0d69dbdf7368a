"""Secure Boot with the brand's key: what it signed starts, and nothing else."""

from __future__ import annotations

from pathlib import Path

import tools.vm
from tests.boot.conftest import LOGIN_S, Boot, log_in, root
from tests.boot.disks import RawDisk, Release

CERTIFICATE = (
    Path(tools.vm.__file__).resolve().parents[2] / "os/brands/strake/keys/test-secure-boot.crt"
)
REFUSED = r"(?i)access denied|security violation|image was not loaded|error loading"
VARIABLE = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"


def test_the_signed_release_starts(boot: Boot) -> None:
    with boot("signed", secure_boot=CERTIFICATE) as machine:
        log_in(machine)
        assert root(machine, f"od -An -tu1 -j4 -N1 {VARIABLE}") == "1"


def test_an_altered_release_does_not(
    boot: Boot, scratch: RawDisk, release: Release, tmp_path: Path
) -> None:
    (entry,) = scratch.entries()
    scratch.install("ROOT-B", release.other(tmp_path), entry)
    with boot("altered", scratch, secure_boot=CERTIFICATE) as machine:
        machine.console.wait_for(REFUSED, LOGIN_S)
        assert "Welcome to" not in machine.console.text
