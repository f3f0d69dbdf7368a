"""Looks at a finished tree and refuses what must not become an image."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping

from tools.elf import tree as elf_tree
from tools.elf.check import Report, check
from tools.elf.policy import Policy
from tools.image.apply import dangling
from tools.image.errors import TreeError
from tools.image.nodes import Kind, Node

_FORMATS = {
    Kind.DIRECTORY: stat.S_IFDIR,
    Kind.FILE: stat.S_IFREG,
    Kind.HARDLINK: stat.S_IFREG,
    Kind.SYMLINK: stat.S_IFLNK,
}
_NEVER_ELF = (".py", ".pyc", ".conf", ".service", ".socket", ".target", ".pem", ".crt", ".gz")


def report(tree: Mapping[str, Node], policy: Policy) -> Report:
    """What `tools.elf` says about the tree."""
    entries = {"/" + path: _entry(tree, node) for path, node in tree.items()}
    return check(elf_tree.Tree(entries), policy)


def refuse(found: Report, tree: Mapping[str, Node], allowed_dangling: Iterable[str]) -> None:
    """Raise when there is anything to complain about.

    Raises:
        TreeError: one line per finding, each with path and package.
    """
    lines = [violation.line() for violation in found.violations]
    lines += dangling(tree, allowed_dangling)
    if lines:
        raise TreeError(
            f"the tree has {len(lines)} faults:\n  " + "\n  ".join(lines),
            "each line says what mends it",
        )


def _entry(tree: Mapping[str, Node], node: Node) -> elf_tree.Entry:
    owner = tree.get(node.target, node) if node.kind is Kind.HARDLINK else node
    blob = None if node.path.endswith(_NEVER_ELF) else owner.blob
    capability = dict(node.xattrs).get(elf_tree.CAPABILITY_XATTR, b"")
    return elf_tree.Entry(
        _FORMATS[node.kind] | owner.mode,
        open=blob.open if blob is not None and blob.size > 4 else None,
        target=node.target if node.kind is Kind.SYMLINK else "",
        package=node.origin,
        owner=(owner.uid, owner.gid),
        capability=capability,
    )
