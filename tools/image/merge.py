"""Lays packages over each other, as dpkg would, and says where they contradict.

Pure: packages are given as lists of nodes, so every rule is tested without a .deb.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import translate

from tools.image.errors import TreeError
from tools.image.nodes import Kind, Node, parents


@dataclass(frozen=True, slots=True)
class Package:
    """A package's nodes, and the packages whose files it may take over (Replaces)."""

    name: str
    nodes: tuple[Node, ...]
    replaces: frozenset[str] = frozenset()


def merge(packages: Iterable[Package], conflicts: Mapping[str, str]) -> dict[str, Node]:
    """One tree from all packages; `conflicts` names the winner of known collisions.

    Directories may be shared; of other paths there is one owner, unless all of them are
    the same, one package replaces the other, or `conflicts` decides. A directory that one
    package describes and others differ on is as in base-files, else it is a conflict too.

    Raises:
        TreeError: collisions nobody decided, one line each, and decisions nobody needs.
    """
    tree: dict[str, Node] = {}
    owners: dict[str, Package] = {}
    problems: list[str] = []
    used: set[str] = set()
    for package in sorted(packages, key=lambda package: package.name):
        for node in package.nodes:
            there = tree.get(node.path)
            winner = node
            if there is not None and not _same(there, node):
                decision = conflicts.get(node.path)
                winner, problem = _winner(there, owners[node.path], node, package, decision)
                problems += [problem] if problem else []
                used.add(node.path)
            elif there is not None:
                winner = there
            if winner is node:
                tree[node.path], owners[node.path] = node, package
    for path in sorted(set(conflicts) - used):
        problems.append(f"/{path}: the decision for {conflicts[path]} is not needed; remove it")
    problems += _blocked(tree)
    if problems:
        raise TreeError(
            "packages contradict each other:\n  " + "\n  ".join(problems),
            "decide with a [[conflict]] or drop a path in packages.toml",
        )
    return tree


def _winner(
    there: Node, owner: Package, node: Node, package: Package, decision: str | None
) -> tuple[Node, str]:
    if decision is not None:
        if decision == package.name:
            return node, ""
        return there, ""
    if Kind.DIRECTORY is there.kind is node.kind:
        if "base-files" in (owner.name, package.name):
            return (there if owner.name == "base-files" else node), ""
    elif owner.name in package.replaces:
        return node, ""
    elif package.name in owner.replaces:
        return there, ""
    return there, (
        f"/{node.path}: {owner.name} has {_described(there)},"
        f" {package.name} has {_described(node)}"
    )


def _described(node: Node) -> str:
    user, group = node.owner
    owner = f"{user or node.uid}:{group or node.gid}"
    return f"{node.kind.name.lower()} {node.mode:04o} {owner} {node.target}".rstrip()


def _same(a: Node, b: Node) -> bool:
    digests = (a.blob.sha256 if a.blob else "", b.blob.sha256 if b.blob else "")
    return digests[0] == digests[1] and (
        replace(a, origin="", blob=None, owner=("", ""))
        == replace(b, origin="", blob=None, owner=("", ""))
    )


def _blocked(tree: Mapping[str, Node]) -> list[str]:
    """Nodes below something that is no directory."""
    found = []
    for path, node in tree.items():
        above = next(parents(path), "")
        blocker = tree.get(above)
        if path and above and blocker is not None and blocker.kind is not Kind.DIRECTORY:
            found.append(
                f"/{path} ({node.origin}) lies below /{above} ({blocker.origin}),"
                " which is no directory"
            )
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Dropped:
    """What patterns took out: paths in order, and patterns that matched nothing."""

    paths: tuple[str, ...]
    idle: tuple[str, ...]


def drop(tree: dict[str, Node], patterns: Iterable[str]) -> Dropped:
    """Take out what matches, and directories that only held what was taken out.

    A pattern is matched against the whole path, `*` and `?` match `/` too. A pattern
    that begins with `!` keeps what it matches from all others. Of a group of hard links
    the ones that stay keep the content.
    """
    wanted = list(patterns)
    rules = {p: re.compile(translate(p.removeprefix("!"))) for p in wanted}
    keep = [rule for pattern, rule in rules.items() if pattern.startswith("!")]
    matched: set[str] = set()
    gone: set[str] = set()
    for path in tree:
        hits = [p for p, rule in rules.items() if rule.match(path)]
        matched.update(hits)
        if any(not p.startswith("!") for p in hits) and not any(r.match(path) for r in keep):
            gone.add(path)
    gone -= {above for path in set(tree) - gone for above in parents(path)}
    gone |= _emptied(tree, gone)
    _promote(tree, gone)
    for path in gone:
        del tree[path]
    return Dropped(tuple(sorted(gone)), tuple(p for p in wanted if p not in matched))


def _emptied(tree: Mapping[str, Node], gone: set[str]) -> set[str]:
    """Directories that had something below them, all of which is gone; not at the top."""
    had = {above for path in gone for above in parents(path)}
    has = {above for path in tree if path not in gone for above in _not_directory(tree, path)}
    empty_before = {p for p, n in tree.items() if n.kind is Kind.DIRECTORY} - {
        above for path in tree for above in parents(path)
    }
    has |= {above for path in empty_before - gone for above in parents(path)}
    return {path for path in had - has if "/" in path}


def _not_directory(tree: Mapping[str, Node], path: str) -> Iterable[str]:
    return () if tree[path].kind is Kind.DIRECTORY else parents(path)


def _promote(tree: dict[str, Node], gone: set[str]) -> None:
    """Hand the content of hard links that go to the first of those that stay."""
    heirs: dict[str, str] = {}
    for path in sorted(tree):
        node = tree[path]
        if node.kind is not Kind.HARDLINK or path in gone or node.target not in gone:
            continue
        heir = heirs.setdefault(node.target, path)
        if heir == path:
            tree[path] = replace(tree[node.target], path=path, origin=node.origin)
        else:
            tree[path] = replace(node, target=heir)
