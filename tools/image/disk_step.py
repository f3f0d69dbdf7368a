"""Step: kernel image, root slot, layout → a disk that boots, and the digests of it all.

Inputs: `uki` and `slot` (outputs of those steps), `kernel`, `layout.toml`, `loader.conf`.
Outputs: disk.raw.zst, image.json, and for direct use root.slot,
slot.json, strake.efi, uki.json, bzImage.
Nothing is mounted, no loop device is used, nobody needs to be root.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from tools.image import derive, gpt, layout, sparse
from tools.image.filesystems import Target
from tools.sandbox import guest

TRIES = 3
"""Boots a release gets to prove itself healthy, before the one before it is taken."""

_PARTS = (
    ("slot", "root.slot"),
    ("slot", "slot.json"),
    ("uki", "strake.efi"),
    ("uki", "uki.json"),
    ("kernel", "bzImage"),
)
_ALIGN = layout.MIB // gpt.SECTOR


def build(step: guest.Step) -> None:
    """Make all outputs."""
    plan = layout.load(step.inputs["layout.toml"])
    uki = json.loads((step.inputs["uki"] / "uki.json").read_text())
    slot = json.loads((step.inputs["slot"] / "slot.json").read_text())
    table = partition_table(plan, slot["partition_uuid"])
    disk = step.build / "disk.raw"
    guest.progress(f"lay out a disk of {table.sectors * gpt.SECTOR >> 20} MiB")
    write_table(table, disk)
    for planned, partition in zip(plan.partitions, table.partitions, strict=True):
        target = Target(disk, partition, plan.seed, step.epoch)
        if planned.content == "esp":
            target.fat(esp_files(step, uki["name"]))
        elif planned.content == "root":
            place(step.inputs["slot"] / "root.slot", disk, partition)
        elif planned.content == "ext4":
            target.ext4()
    guest.progress("compress the disk")
    sparse.compress(disk, step.out / "disk.raw.zst")
    for name, source in _PARTS:
        copy(step.inputs[name] / source, step.out / source)
    facts = describe(step.out, disk, table, uki, slot)
    (step.out / "image.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def partition_table(plan: layout.Layout, root_uuid: str) -> gpt.Table:
    """Partitions one after the other, on whole MiB; the root is named by its hash."""
    at, parts = _ALIGN, []
    for planned in plan.partitions:
        sectors = planned.bytes // gpt.SECTOR
        uuid = derive.uuid(plan.seed, f"{planned.label} partition")
        if planned.content == "root":
            uuid = type(uuid)(root_uuid)
        parts.append(gpt.Partition(planned.type, uuid, at, at + sectors - 1, planned.label))
        at += sectors
    return gpt.Table(derive.uuid(plan.seed, "disk"), at + _ALIGN, tuple(parts))


def write_table(table: gpt.Table, disk: Path) -> None:
    """A new sparse disk with nothing but its table."""
    start, end = gpt.encode(table)
    with disk.open("wb") as out:
        out.truncate(table.sectors * gpt.SECTOR)
        out.write(start)
        out.seek(-len(end), os.SEEK_END)
        out.write(end)


def esp_files(step: guest.Step, name: str) -> dict[str, Path]:
    """What is on the ESP; the name of the kernel image counts its tries (UAPI.1)."""
    loader = step.inputs["uki"] / "systemd-boot.efi"
    return {
        "EFI/BOOT/BOOTX64.EFI": loader,
        "EFI/systemd/systemd-bootx64.efi": loader,
        f"EFI/Linux/{name}+{TRIES}.efi": step.inputs["uki"] / "strake.efi",
        "loader/loader.conf": step.inputs["loader.conf"],
    }


def place(source: Path, disk: Path, partition: gpt.Partition) -> None:
    """Copy a file to where a partition begins."""
    with source.open("rb") as data, disk.open("r+b") as out:
        out.seek(partition.offset)
        left, position = source.stat().st_size, 0
        while left:
            sent = os.sendfile(out.fileno(), data.fileno(), position, left)
            position, left = position + sent, left - sent


def copy(source: Path, target: Path) -> None:
    """Copy content only."""
    target.write_bytes(source.read_bytes())


def describe(
    out: Path,
    disk: Path,
    table: gpt.Table,
    uki: dict[str, object],
    slot: dict[str, object],
) -> dict[str, object]:
    """image.json: what was made, to the bit."""
    raw = sparse.digest(disk)
    files = {}
    for path in sorted(out.iterdir()):
        with path.open("rb") as stream:
            files[path.name] = {
                "bytes": path.stat().st_size,
                "sha256": hashlib.file_digest(stream, "sha256").hexdigest(),
            }
    return {
        "version": 1,
        "release": uki["release"],
        "kernel": uki["kernel"],
        "cmdline": uki["cmdline"],
        "test_key": uki["test_key"],
        "root_hash": slot["root_hash"],
        "slot": slot,
        "disk": {"bytes": raw.bytes, "chunks_sha256": raw.chunks, "chunk_bytes": sparse.CHUNK},
        "files": files,
        "partitions": [
            {
                "label": part.label,
                "type": str(part.type),
                "uuid": str(part.uuid),
                "offset": part.offset,
                "bytes": part.bytes,
            }
            for part in table.partitions
        ],
    }


if __name__ == "__main__":
    guest.main(build)
