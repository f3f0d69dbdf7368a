"""Puts our own decisions and files on top of the packages' tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from tools.image.config import TreeConfig
from tools.image.errors import ImageError
from tools.image.nodes import (
    Kind,
    Node,
    content,
    directory,
    file,
    real_path,
    symlink,
    with_parents,
)
from tools.image.sysusers import Accounts

ORIGIN = "os/rootfs/tree.toml"
_AT_RUN_TIME = ("dev/", "proc/", "run/", "sys/", "var/")


def settle(tree: dict[str, Node], config: TreeConfig) -> None:
    """Links, directories and copies that `tree.toml` asks for; they win over packages.

    Raises:
        ImageError: what is to be copied is not there.
    """
    for path, target in config.alternatives.items():
        overlay(tree, [symlink(path, target, ORIGIN)])
    overlay(tree, (directory(path, ORIGIN) for path in config.directories))
    overlay(
        tree,
        [file(path, content(tree, source), ORIGIN) for path, source in config.copies.items()],
    )


def overlay(tree: dict[str, Node], nodes: Iterable[Node]) -> None:
    """Our files win over packages' files; a directory gives way when it holds no files.

    Raises:
        ImageError: a directory with files in it would be replaced.
    """
    for node in nodes:
        there = tree.get(node.path)
        if there is not None and there.kind is Kind.DIRECTORY:
            if node.kind is Kind.DIRECTORY:
                continue
            _clear(tree, node)
        _release_links(tree, node.path)
        with_parents(tree, node)


def _clear(tree: dict[str, Node], node: Node) -> None:
    """Make room for what takes the place of a directory."""
    below = sorted(path for path in tree if path.startswith(f"{node.path}/"))
    for path in below:
        if tree[path].kind is not Kind.DIRECTORY:
            raise ImageError(
                f"/{node.path} of {node.origin} would replace a directory that has"
                f" /{path} ({tree[path].origin})",
                "drop what is in it, or choose another path",
            )
    for path in below:
        del tree[path]


def _release_links(tree: dict[str, Node], path: str) -> None:
    """Keep the content of hard links whose first name is about to be replaced."""
    group = sorted(p for p, n in tree.items() if n.kind is Kind.HARDLINK and n.target == path)
    if group:
        tree[group[0]] = replace(tree[path], path=group[0])
        for other in group[1:]:
            tree[other] = replace(tree[other], target=group[0])


def own(tree: dict[str, Node], accounts: Accounts, config: TreeConfig) -> None:
    """Turn owners' names into this image's numbers, and apply `[[mode]]`.

    Raises:
        ImageError: a package's file belongs to somebody the image does not have; all such
            paths are in the message, with their packages.
    """
    strangers = []
    for path, node in tree.items():
        user, group = node.owner
        if not (user or group):
            continue
        uid = accounts.users[user].uid if user in accounts.users else None
        gid = accounts.groups.get(group)
        if uid is None or gid is None:
            strangers.append(f"/{path} ({node.origin}) belongs to {user}:{group}")
        elif (uid, gid) != (node.uid, node.gid):
            tree[path] = replace(node, uid=uid, gid=gid)
    for path, wanted in config.modes.items():
        there = tree.get(path)
        if (
            there is None
            or wanted.user not in accounts.users
            or wanted.group not in accounts.groups
        ):
            strangers.append(f"/{path} ({ORIGIN}): no such path, user or group")
            continue
        uid, gid = accounts.users[wanted.user].uid, accounts.groups[wanted.group]
        tree[path] = replace(there, mode=wanted.mode, uid=uid, gid=gid)
    if strangers:
        raise ImageError(
            "owners that the image does not have:\n  " + "\n  ".join(sorted(strangers)),
            "add them to os/rootfs/overlay/usr/lib/sysusers.d",
        )


def dangling(tree: Mapping[str, Node], allowed: Iterable[str]) -> list[str]:
    """Symbolic links that lead nowhere, one line each, and patterns that match none.

    Links into what only a running system has (/dev, /proc, /run, /sys, /var) are fine.
    """
    patterns = tuple(allowed)
    used: set[str] = set()
    lines = []
    for path in sorted(tree):
        node = tree[path]
        if node.kind is not Kind.SYMLINK:
            continue
        real = real_path(tree, path)
        if real in tree or (real is not None and f"{real}/".startswith(_AT_RUN_TIME)):
            continue
        hits = {pattern for pattern in patterns if fnmatchcase(path, pattern)}
        used |= hits
        if not hits:
            lines.append(
                f"/{path} ({node.origin}): leads to {node.target}, which is missing;"
                " drop it, or list it under [[dangling]] with a reason"
            )
    idle = (p for p in patterns if p not in used)
    return lines + [f"[[dangling]] {p}: no such link; take it off the list" for p in idle]
