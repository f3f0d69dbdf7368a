"""Step: packages → a system extension: their /usr, verified, as a discoverable disk image.

Inputs: `packages.toml`, `layout.toml` (for its seed), `brand`, `version`, `base` (what the
image has, so that nothing is in both), and a directory <name> with files of ours where
there is one. Param: `name`. Outputs: <name>.raw, <name>.json.

The image has two partitions, erofs and its verity tree, whose UUIDs are the halves of the
root hash (UAPI.2, UAPI.3). It is for the release it was built with: it may use every
library of the image, and its SYSEXT_LEVEL says so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from tools.brand import load_brand
from tools.elf.policy import Policy
from tools.image import apply, config, debs, derive, gpt, judge, layout, merge, tarball, verity
from tools.image.disk_step import place, write_table
from tools.image.errors import ImageError, TreeError
from tools.image.nodes import Kind, Node, directory, file, from_directory
from tools.image.slot_step import make_erofs
from tools.sandbox import guest
from tools.version import load_version

# Discoverable partitions of UAPI.2: /usr of x86-64, and its verity tree.
_USR = UUID("8484680c-9521-48c6-9c11-b0720656f69e")
_USR_VERITY = UUID("77ff5f63-e7b6-4633-acf4-1565b864c0e6")
_READ_ONLY = 1 << 60
_ALIGN = layout.MIB // gpt.SECTOR


def build(step: guest.Step) -> None:
    """Make the extension and its description."""
    name = str(step.params["name"])
    seed = f"{layout.load(step.inputs['layout.toml']).seed} {name}"
    tree = compose(step, name, step.build / "debs")
    tar = step.build / "usr.tar"
    tarball.write(below(tree, "usr"), tar, step.epoch)
    data = step.build / "usr.erofs"
    guest.progress(f"compress {len(tree)} paths of {name}")
    make_erofs(tar, data, seed, step.epoch, step.jobs)
    salt = derive.digest(seed, "verity salt")
    found, area = verity.tree(data, salt, derive.uuid(seed, "verity"))
    image = step.out / f"{name}.raw"
    write_image(image, data, area, found, seed)
    with image.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    facts = {
        "version": 1,
        "name": name,
        "root_hash": found.root_hash,
        "bytes": image.stat().st_size,
        "sha256": digest,
        "packages": {package["name"]: package["version"] for package in step.packages},
    }
    (step.out / f"{name}.json").write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n")


def compose(step: guest.Step, name: str, spool: Path) -> dict[str, Node]:
    """The extension's tree: only /usr, and nothing the image has."""
    rules = config.parse_package_rules(step.inputs["packages.toml"].read_text(), "packages.toml")
    versions = {package["name"]: package["version"] for package in step.packages}
    tree = merge.merge(debs.read_all(step.debs, versions, spool, step.jobs), {})
    merge.drop(tree, [*rules.drop, "etc/*", "var/*"])
    if name in step.inputs:
        apply.overlay(tree, from_directory(step.inputs[name], "overlay"))
    brand = load_brand(step.inputs["brand"])
    level = load_version(step.inputs["version"]).build
    release = f"ID={brand.id}\nSYSEXT_LEVEL={level}\nEXTENSION_RELOAD_MANAGER=1\n"
    path = f"usr/lib/extension-release.d/extension-release.{name}"
    apply.overlay(tree, [file(path, release.encode(), "os/image")])
    base = step.inputs["base"]
    present = tarball.load_index(base / "base.json", base / "base.tar").members
    twice = sorted(
        path
        for path, node in tree.items()
        if node.kind is not Kind.DIRECTORY and path in present and node.origin != "overlay"
    )
    if twice:
        raise ImageError(
            f"{name}: /{twice[0]} ({tree[twice[0]].origin}) is in the image already",
            "take the package out of the extension's set",
        )
    judge_on(tree, {path: placed.node for path, placed in present.items()}, name)
    return tree


def judge_on(tree: Mapping[str, Node], image: Mapping[str, Node], name: str) -> None:
    """See that the extension works on top of the image.

    Raises:
        TreeError: a library is missing, a link leads nowhere, or a file is set-uid.
    """
    whole = {**image, **tree}
    found = judge.report(whole, Policy())
    lines = [v.line() for v in found.violations if v.path.lstrip("/") in tree]
    lines += [line for line in apply.dangling(whole, ()) if line[1:].split(" ")[0] in tree]
    if lines:
        raise TreeError(f"{name} has {len(lines)} faults:\n  " + "\n  ".join(lines))


def below(tree: Mapping[str, Node], top: str) -> dict[str, Node]:
    """The part of a tree below `top`, which becomes the root; owners are all root."""
    found = {"": directory("", "os/image")}
    for path, node in tree.items():
        if path.startswith(f"{top}/"):
            inner = path.removeprefix(f"{top}/")
            target = node.target
            if node.kind is Kind.HARDLINK:
                target = target.removeprefix(f"{top}/")
            found[inner] = replace(node, path=inner, target=target, uid=0, gid=0)
    return found


def write_image(image: Path, data: Path, area: bytes, found: verity.Verity, seed: str) -> None:
    """A disk with the two partitions."""
    tree = data.with_suffix(".verity")
    tree.write_bytes(area)
    at, parts = _ALIGN, []
    for kind, uuid, label, source in (
        (_USR, found.partition_uuid, "usr", data),
        (_USR_VERITY, found.tree_uuid, "usr-verity", tree),
    ):
        sectors = -(-source.stat().st_size // layout.MIB) * _ALIGN
        parts.append(gpt.Partition(kind, uuid, at, at + sectors - 1, label, _READ_ONLY))
        at += sectors
    table = gpt.Table(derive.uuid(seed, "disk"), at + _ALIGN, tuple(parts))
    write_table(table, image)
    for source, part in zip((data, tree), table.partitions, strict=True):
        place(source, image, part)


if __name__ == "__main__":
    guest.main(build)
