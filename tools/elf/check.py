"""Judges a whole tree; see the package's docstring for what it promises."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tools.elf.capability import capability_text
from tools.elf.errors import ElfError
from tools.elf.loader import find_library, searched
from tools.elf.model import ElfInfo, Kind, Relro, Stack
from tools.elf.policy import Policy
from tools.elf.reader import MAGIC, read_elf
from tools.elf.tree import Entry, Tree

SETID = stat.S_ISUID | stat.S_ISGID


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must not be in an image.

    `rule` is a fixed word for programs, `remedy` says what a person does about it.
    """

    rule: str
    path: str
    package: str
    what: str
    remedy: str

    def line(self) -> str:
        """The violation for people, in one line."""
        origin = f" ({self.package})" if self.package else ""
        return f"{self.path}{origin}: {self.what}; {self.remedy}"


@dataclass(frozen=True, slots=True)
class Report:
    """What is in a tree: facts by path, files with privileges, and violations.

    `setid` maps paths to permission bits, `capabilities` to their text form.
    """

    files: Mapping[str, ElfInfo]
    violations: tuple[Violation, ...]
    packages: Mapping[str, str] = field(default_factory=dict)
    setid: Mapping[str, int] = field(default_factory=dict)
    capabilities: Mapping[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The report in JSON types; a pure function of the tree."""
        loaded = [info for info in self.files.values() if info.loads]
        return {
            "version": 1,
            "summary": {
                "files": len(self.files),
                "relro": {kind.value: sum(i.relro is kind for i in loaded) for kind in Relro},
                "stack": {kind.value: sum(i.stack is kind for i in loaded) for kind in Stack},
                "kind": {k.value: sum(i.kind is k for i in self.files.values()) for k in Kind},
                "textrel": sum(i.textrel for i in loaded),
            },
            "setid": {path: f"{mode:04o}" for path, mode in sorted(self.setid.items())},
            "capabilities": dict(sorted(self.capabilities.items())),
            "violations": [dataclasses.asdict(violation) for violation in self.violations],
            "files": {
                path: {"package": self.packages.get(path, ""), **_facts(info)}
                for path, info in sorted(self.files.items())
            },
        }


def _facts(info: ElfInfo) -> dict[str, object]:
    return {
        "kind": info.kind.value,
        "machine": info.machine,
        "relro": info.relro.value,
        "stack": info.stack.value,
        "soname": info.soname,
        "needed": list(info.needed),
    }


def check(tree: Tree, policy: Policy) -> Report:
    """Read every ELF file of a tree and judge it; never raises for what a file contains."""
    survey = _Survey(tree)
    violations = [
        *survey.corrupt,
        *(v for path, info in survey.infos.items() for v in _loading(survey, policy, path, info)),
        *_privileges(tree, policy),
        *_capabilities(tree, policy),
        *_stale(tree, policy),
    ]
    files = dict(tree.files())
    return Report(
        files=survey.infos,
        violations=tuple(sorted(violations, key=lambda v: (v.path, v.rule, v.what))),
        packages={path: files[path].package for path in survey.infos},
        setid={path: stat.S_IMODE(e.mode) for path, e in files.items() if e.mode & SETID},
        capabilities={p: _caps(e) for p, e in files.items() if e.capability},
    )


class _Survey:
    """Every ELF file of a tree, read once."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.infos: dict[str, ElfInfo] = {}
        self.corrupt: list[Violation] = []
        for path, entry in tree.files():
            self._read(path, entry)

    def _read(self, path: str, entry: Entry) -> None:
        if entry.open is None:
            return
        with entry.open() as stream:
            if stream.read(len(MAGIC)) != MAGIC:
                return
            try:
                self.infos[path] = read_elf(stream, path)
            except ElfError as error:
                what = error.message.removeprefix(f"{path}: ")
                remedy = "rebuild or drop the package that brings it"
                self.corrupt.append(Violation("corrupt", path, entry.package, what, remedy))

    def library(self, path: str, name: str) -> str | None:
        """The real path of library `name` as the file at `path` finds it, or None."""
        return find_library(self.tree, self.infos.get, path, self.infos[path], name)

    def preloaded(self, path: str, name: str) -> bool:
        """Whether whatever loads the library at `path` has itself found and loaded `name`.

        ld.so searches for a name once per process, so a private library need not know
        where its sisters lie if every program that uses it does.
        """
        soname = self.infos[path].soname
        loaders = [
            loader
            for loader, info in self.infos.items()
            if soname and soname in info.needed and self.library(loader, soname) == path
        ]
        return bool(loaders) and all(
            name in self.infos[loader].needed and self.library(loader, name) for loader in loaders
        )

    def package(self, path: str) -> str:
        entry = self.tree.get(path)
        return entry.package if entry else ""


def _loading(survey: _Survey, policy: Policy, path: str, info: ElfInfo) -> Iterator[Violation]:
    if not info.loads:
        return
    package = survey.package(path)
    for name in info.needed:
        if survey.library(path, name) is None and not survey.preloaded(path, name):
            yield Violation(
                "needed",
                path,
                package,
                f"needs {name}, which is not in {', '.join(searched(path, info))}",
                "add the package that has it, or drop this file in packages.toml",
            )
    if info.interpreter and survey.tree.find(info.interpreter) not in survey.infos:
        yield Violation(
            "interpreter",
            path,
            package,
            f"is started by {info.interpreter}, which is no program of the tree",
            "add the package that has it, or drop this file in packages.toml",
        )
    if info.textrel and path not in policy.textrel:
        yield Violation(
            "textrel",
            path,
            package,
            "has text relocations, so its code must be writable",
            "rebuild it with -fPIC, or list it under [[textrel]] with a reason",
        )


def _privileges(tree: Tree, policy: Policy) -> Iterator[Violation]:
    for path, entry in tree.files():
        mode = stat.S_IMODE(entry.mode)
        if not mode & SETID or policy.setid.get(path) == mode:
            continue
        allowed = policy.setid.get(path)
        what = f"has mode {mode:04o}" + (f", allowed is {allowed:04o}" if allowed else "")
        remedy = "list it in the set-uid policy with a reason, or under [[drop]]"
        yield Violation("setid", path, entry.package, what, remedy)


def _capabilities(tree: Tree, policy: Policy) -> Iterator[Violation]:
    for path, entry in tree.files():
        text = _caps(entry) if entry.capability else ""
        if text != "" and policy.capability.get(path) != text:
            remedy = "list it under [[capability]] with a reason, or take the attribute away"
            what = f"has file capabilities {text}"
            yield Violation("capability", path, entry.package, what, remedy)


def _caps(entry: Entry) -> str:
    try:
        return capability_text(entry.capability)
    except ElfError as error:
        return error.message


def _stale(tree: Tree, policy: Policy) -> Iterator[Violation]:
    for path in sorted({*policy.setid, *policy.capability, *policy.textrel, *policy.drop}):
        if tree.get(path) is None:
            what = "is listed in the set-uid policy and not in the tree"
            yield Violation("stale", path, "", what, "take it off the list")
