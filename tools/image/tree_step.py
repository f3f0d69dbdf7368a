"""Step: base.tar and our own data → root.tar, the whole root tree, checked.

Inputs: `base` (outputs of base_step), `overlay` (our files, laid over the packages'),
`tree.toml`, `setuid.toml`, `brand` (a brand's directory), `version` (version.toml), and
where there are any `python` (sources of our services, which go below
/usr/lib/strake/python).
Outputs: root.tar, tree.json (every path with origin, owner, mode and hash), elf.json.
"""

from __future__ import annotations

import json
from dataclasses import replace

from tools.brand import load_brand, render_files
from tools.elf.policy import Policy, parse_policy
from tools.image import apply, bytecode, config, judge, merge, sysusers, tarball, units
from tools.image.nodes import Kind, Node, content, directory, file, from_directory
from tools.sandbox import guest
from tools.version import load_version

PAYLOAD = "usr/lib/strake/python"
_SYSUSERS = "usr/lib/sysusers.d/"


def build(step: guest.Step) -> None:
    """Make root.tar, tree.json and elf.json."""
    base = tarball.load_index(step.inputs["base"] / "base.json", step.inputs["base"] / "base.tar")
    rules = config.parse(step.inputs["tree.toml"].read_text(), "tree.toml")
    policy = parse_policy(step.inputs["setuid.toml"].read_text(), "setuid.toml")
    tree = base.tree()
    guest.progress(f"compose {len(tree)} paths of packages with our own")
    merge.drop(tree, rules.remove)
    apply.settle(tree, rules)
    apply.overlay(tree, from_directory(step.inputs["overlay"], "overlay"))
    _add_brand(tree, step)
    _add_payload(tree, step)
    units.enable(tree, units.SYSTEM)
    units.enable(tree, units.USER)
    _add_accounts(tree, rules, step.epoch)
    _clear_bits(tree, policy)
    guest.progress("check libraries, links and privileges")
    found = judge.report(tree, policy)
    (step.out / "elf.json").write_text(json.dumps(found.as_json(), indent=1, sort_keys=True) + "\n")
    judge.refuse(found, tree, rules.dangling)
    guest.progress(f"write {len(tree)} paths")
    archive = tarball.write(tree, step.out / "root.tar", step.epoch, base)
    nodes = (placed.node for placed in archive.members.values())
    (step.out / "tree.json").write_text(tarball.manifest(nodes))


def _add_brand(tree: dict[str, Node], step: guest.Step) -> None:
    brand = load_brand(step.inputs["brand"])
    if brand.overlay is not None:
        apply.overlay(tree, from_directory(brand.overlay, "brand"))
    files = render_files(brand, load_version(step.inputs["version"]))
    apply.overlay(tree, [file(path, data, "brand") for path, data in sorted(files.items())])


def _add_payload(tree: dict[str, Node], step: guest.Step) -> None:
    source = step.inputs.get("python")
    if source is None:
        return
    parts = [
        replace(node, path=f"{PAYLOAD}/{node.path}")
        for node in from_directory(source, "services")
        if not node.path.endswith("_test.py")
    ]
    apply.overlay(tree, [directory(PAYLOAD, "services"), *parts])
    apply.overlay(tree, list(bytecode.nodes(tree, (PAYLOAD,), strict_below=PAYLOAD)))


def _add_accounts(tree: dict[str, Node], rules: config.TreeConfig, epoch: int) -> None:
    accounts = sysusers.Accounts()
    files = {
        path.removeprefix(_SYSUSERS): content(tree, path).decode("utf-8")
        for path in tree
        if path.startswith(_SYSUSERS) and path.endswith(".conf")
    }
    sysusers.apply(accounts, files, rules.ids)
    shadow = accounts.groups.get("shadow", 0)
    for path, (text, mode) in accounts.files(epoch).items():
        node = file(path, text.encode(), "sysusers.d", mode)
        apply.overlay(tree, [node if mode & 0o004 else replace(node, gid=shadow)])
    apply.own(tree, accounts, rules)


def _clear_bits(tree: dict[str, Node], policy: Policy) -> None:
    for path in policy.drop:
        node = tree.get(path.lstrip("/"))
        if node is not None and node.kind is Kind.HARDLINK:
            node = tree[node.target]
        if node is not None:
            tree[node.path] = replace(node, mode=node.mode & 0o777)


if __name__ == "__main__":
    guest.main(build)
