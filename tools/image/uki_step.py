"""Step: kernel and slot → strake.efi, the signed unified kernel image of one release.

Inputs: `kernel` (a directory with bzImage), `slot` (outputs of slot_step), `cmdline.toml`,
`brand`, `version`. Outputs: strake.efi, systemd-boot.efi (signed too), uki.json.

The root hash is in the command line and the command line is signed, so one signature
vouches for every block of the system.
"""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path

from tools.brand import Brand, load_brand, os_release
from tools.image import authenticode, cmdline
from tools.image.errors import ImageError
from tools.proc import run
from tools.sandbox import guest
from tools.version import load_version

_BOOT = Path("/usr/lib/systemd/boot/efi")
STUB = _BOOT / "linuxx64.efi.stub"
LOADER = _BOOT / "systemd-bootx64.efi"


def build(step: guest.Step) -> None:
    """Make the three outputs."""
    brand, version = load_brand(step.inputs["brand"]), load_version(step.inputs["version"])
    slot = json.loads((step.inputs["slot"] / "slot.json").read_text())
    arguments = cmdline.parse(step.inputs["cmdline.toml"].read_text(), "cmdline.toml")
    line = cmdline.fill(arguments, slot, str(version))
    kernel = step.inputs["kernel"] / "bzImage"
    release = kernel_release(kernel.read_bytes())
    plain = step.build / "plain.efi"
    guest.progress(f"assemble the kernel image of {brand.pretty_name(version)}, Linux {release}")
    assemble(kernel, line, os_release(brand, version), release, plain, step.build)
    signed = {
        "strake.efi": _signed(plain, brand),
        "systemd-boot.efi": _signed(LOADER, brand),
    }
    for name, data in signed.items():
        (step.out / name).write_bytes(data)
    facts = {
        "version": 1,
        "release": str(version),
        "name": f"{brand.id}_{version}",
        "kernel": release,
        "cmdline": line,
        "root_hash": slot["root_hash"],
        "test_key": brand.keys.test,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in signed.items()},
        "authenticode": {n: authenticode.pe_digest(d).hex() for n, d in signed.items()},
    }
    (step.out / "uki.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def assemble(
    kernel: Path, line: str, release_text: str, uname: str, target: Path, scratch: Path
) -> None:
    """Put the parts together with ukify; nothing is signed."""
    (scratch / "cmdline").write_text(line)
    (scratch / "os-release").write_text(release_text)
    run(
        [
            "ukify",
            "build",
            f"--linux={kernel}",
            f"--cmdline=@{scratch / 'cmdline'}",
            f"--os-release=@{scratch / 'os-release'}",
            f"--uname={uname}",
            f"--stub={STUB}",
            f"--output={target}",
        ]
    )


def kernel_release(image: bytes) -> str:
    """What `uname -r` will say, from the header of a bzImage (boot protocol 2.00 and later).

    Raises:
        ImageError: it is no bzImage.
    """
    if image[0x202:0x206] != b"HdrS":
        raise ImageError("the kernel is no bzImage")
    (offset,) = struct.unpack_from("<H", image, 0x20E)
    text, _, _ = image[0x200 + offset :][:256].partition(b"\0")
    return text.decode("ascii", "replace").split(" ")[0]


def _signed(path: Path, brand: Brand) -> bytes:
    certificate = authenticode.read_certificate(brand.keys.secure_boot_certificate)
    signer = authenticode.openssl_signer(brand.keys.secure_boot_key)
    return authenticode.sign_pe(path.read_bytes(), certificate, signer)


if __name__ == "__main__":
    guest.main(build)
