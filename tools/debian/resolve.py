"""Which packages a set needs: apt's own solver, in a root of its own, without network.

apt sees nothing of the host: its directories, sources, keys and configuration lie in a
temporary root that holds exactly the verified indices, and it is only asked to simulate.
A set that lies on another one sees that set's packages as installed; omitted packages are
installed too as far as apt can tell, so nothing they would need comes in.

The result depends on the indices, the wishes and apt's version alone; the version comes
from the `resolve` tools tree once there is a lock, from the host for the very first one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tools.debian import closure, deb822
from tools.debian.archive import ARCH, COMPONENT, SuiteIndex
from tools.debian.errors import ResolveError
from tools.debian.lock import LockedPackage
from tools.debian.version import Version
from tools.debian.wanted import Wanted, WantedSet
from tools.proc import run

_HOST = "archive.invalid"
_INSTALL = re.compile(r"Inst (\S+?)(?::\S+)? (?:\[\S+\] )?\((\S+) ")
_REMOVE = re.compile(r"(?:Remv|Purg) (\S+)")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A package as an index describes it, with the suite that index belongs to."""

    fields: Mapping[str, str]
    suite: str
    archive: str

    @property
    def version(self) -> Version:
        """Its version."""
        return Version(self.fields["version"])

    def locked(self, sets: tuple[str, ...]) -> LockedPackage:
        """The lock's entry. Raises ResolveError when the index lacks a field."""
        fields = self.fields
        try:
            return LockedPackage(
                name=fields["package"],
                version=fields["version"],
                arch=fields["architecture"],
                suite=self.suite,
                pool=f"{self.archive}/{fields['filename']}",
                sha256=fields["sha256"],
                size=int(fields["size"]),
                sets=sets,
            )
        except (KeyError, ValueError) as error:
            name = fields.get("package", "a package")
            raise ResolveError(f"{self.suite}: {name} has no usable field {error}") from error


class Candidates:
    """Every version of every package in the indices, found by name."""

    def __init__(self, indices: Sequence[SuiteIndex]) -> None:
        self._indices = indices
        self._blocks: dict[str, list[tuple[str, SuiteIndex]]] = {}
        for index in indices:
            for block in deb822.blocks(index.packages):
                first = block.partition("\n")[0]
                if first.startswith("Package: "):
                    self._blocks.setdefault(first[9:].strip(), []).append((block, index))

    def of(self, name: str) -> list[Candidate]:
        """All of a name, newest first, earlier suites before later ones of one version."""
        found = [
            Candidate(deb822.parse(block), index.suite.name, index.suite.archive)
            for block, index in self._blocks.get(name, ())
        ]
        return sorted(found, key=lambda item: item.version, reverse=True)

    def reachable(self, wanted: Iterable[str]) -> list[SuiteIndex]:
        """The indices without what no resolution of these names could need."""
        blocks = {name: [block for block, _ in found] for name, found in self._blocks.items()}
        kept: dict[str, list[str]] = {index.suite.name: [] for index in self._indices}
        for name in sorted(closure.reachable(wanted, blocks)):
            for block, index in self._blocks.get(name, ()):
                kept[index.suite.name].append(block)
        return [
            replace(index, packages="\n\n".join(kept[index.suite.name])) for index in self._indices
        ]

    def exactly(self, name: str, version: str) -> Candidate:
        """One version. Raises ResolveError when no index has it."""
        for candidate in self.of(name):
            if candidate.fields["version"] == version:
                return candidate
        raise ResolveError(f"apt chose {name} {version}, which is in no index")


def resolve(
    wanted: Wanted,
    indices: Sequence[SuiteIndex],
    root: Path,
    *,
    apt_get: Sequence[str] = ("apt-get",),
    note: Callable[[str], None] = lambda _: None,
) -> tuple[LockedPackage, ...]:
    """All sets' packages, each with the sets that hold it, by name.

    Args:
        root: an empty directory for apt.
        apt_get: the program, with the words that go before its options.

    Raises:
        ResolveError: a wanted package does not exist, or a set cannot be installed.
    """
    candidates = Candidates(indices)
    named = {name for item in wanted.sets for name in (*item.packages, *item.omit)}
    _write_root(root, candidates.reachable(named))
    chosen: dict[str, dict[str, Candidate]] = {}
    for item in wanted.sets:
        note(f"resolving {item.name}")
        below = list(chosen[item.on].values()) if item.on else []
        chosen[item.name] = _resolve_set(item, below, candidates, root, apt_get)
    return _merged(chosen)


def _resolve_set(
    item: WantedSet,
    below: Iterable[Candidate],
    candidates: Candidates,
    root: Path,
    apt_get: Sequence[str],
) -> dict[str, Candidate]:
    for name in (*item.packages, *item.omit):
        if not candidates.of(name):
            raise ResolveError(
                f"set {item.name}: there is no package {name} in the suites",
                "correct os/packages/packages.toml",
            )
    given = [_installed(candidate.fields) for candidate in below]
    given += [_stub(candidates.of(name)[0].fields) for name in item.omit]
    (root / "status").write_text("\n".join(given), "utf-8")
    (root / "preferences").write_text(_pins(item.omit), "utf-8")
    done = run(
        [*apt_get, "--simulate", "--quiet", "install", *item.packages],
        env={"APT_CONFIG": str(root / "apt.conf")},
        check=False,
    )
    if done.returncode != 0:
        raise ResolveError(
            f"set {item.name} cannot be installed: {_complaint(done.text, done.stderr)}",
            "correct os/packages/packages.toml",
        )
    if removed := _REMOVE.search(done.text):
        raise ResolveError(f"set {item.name} would remove {removed[1]} of {item.on or 'itself'}")
    found = [_INSTALL.match(line) for line in done.text.splitlines()]
    return {
        match[1]: candidates.exactly(match[1], match[2]) for match in found if match is not None
    }


def _merged(chosen: Mapping[str, Mapping[str, Candidate]]) -> tuple[LockedPackage, ...]:
    packages: dict[str, LockedPackage] = {}
    for set_name in sorted(chosen):
        for name, candidate in chosen[set_name].items():
            new = candidate.locked((set_name,))
            old = packages.setdefault(name, new)
            if old.version != new.version:
                raise ResolveError(
                    f"{name} is {old.version} in {old.sets[0]} but {new.version} in {set_name}"
                )
            if old is not new:
                packages[name] = replace(old, sets=(*old.sets, set_name))
    return tuple(packages[name] for name in sorted(packages))


def _write_root(root: Path, indices: Sequence[SuiteIndex]) -> None:
    lists = root / "lists"
    for directory in (
        lists / "partial",
        root / "cache" / "archives" / "partial",
        root / "parts",
    ):
        directory.mkdir(parents=True)
    sources = []
    for index in indices:
        suite = index.suite
        sources.append(
            f"deb [arch={ARCH} trusted=yes] http://{_HOST}/{suite.archive} {suite.name} {COMPONENT}"
        )
        # The names apt gives to files it fetched itself (URItoFileName).
        stem = f"{_HOST}_{suite.archive}_dists_{suite.name}"
        (lists / f"{stem}_Release").write_text(index.release_text, "utf-8")
        (lists / f"{stem}_{COMPONENT}_binary-{ARCH}_Packages").write_text(
            f"{index.packages}\n", "utf-8"
        )
    (root / "sources.list").write_text("\n".join(sources) + "\n", "utf-8")
    (root / "apt.conf").write_text(_config(root), "utf-8")


def _config(root: Path) -> str:
    settings = {
        "Dir": root,
        "Dir::State": root,
        "Dir::State::lists": f"{root}/lists/",
        "Dir::State::status": f"{root}/status",
        "Dir::State::extended_states": f"{root}/extended_states",
        "Dir::Cache": f"{root}/cache/",
        "Dir::Etc": root,
        "Dir::Etc::main": f"{root}/none",
        "Dir::Etc::parts": f"{root}/parts/",
        "Dir::Etc::sourcelist": f"{root}/sources.list",
        "Dir::Etc::sourceparts": f"{root}/parts/",
        "Dir::Etc::preferences": f"{root}/preferences",
        "Dir::Etc::preferencesparts": f"{root}/parts/",
        "Dir::Log": f"{root}/log",
        "Dir::Bin::dpkg": "/bin/false",
        "APT::Architecture": ARCH,
        "APT::Architectures": ARCH,
        "APT::Install-Recommends": "false",
        "APT::Install-Suggests": "false",
        "APT::Solver": "internal",
        "APT::Get::Assume-Yes": "true",
        "APT::Get::Show-User-Simulation-Note": "false",
        "APT::Cmd::Use-Format": "false",
        "APT::Color": "false",
        "APT::Sandbox::User": "root",
        "Acquire::Languages": "none",
    }
    return "".join(f'{name} "{value}";\n' for name, value in settings.items())


def _installed(fields: Mapping[str, str]) -> str:
    kept = {
        name: value for name, value in fields.items() if name not in ("filename", "size", "sha256")
    }
    first = {"package": kept.pop("package"), "status": "install ok installed"}
    return deb822.dump({**first, **kept})


def _stub(fields: Mapping[str, str]) -> str:
    """An omitted package as installed: what it provides, but nothing that it needs."""
    needed = ("package", "version", "architecture", "multi-arch", "provides")
    return _installed({name: fields[name] for name in needed if name in fields})


def _pins(omit: Sequence[str]) -> str:
    # To apt a stub is an older build of the same version: without a pin it "upgrades" it.
    if not omit:
        return ""
    return f'Package: {" ".join(omit)}\nPin: origin "{_HOST}"\nPin-Priority: -1\n'


def _complaint(stdout: str, stderr: bytes) -> str:
    text = stderr.decode("utf-8", "replace")
    unmet = [line.strip() for line in stdout.splitlines() if "epends:" in line]
    errors = [line[3:].strip() for line in text.splitlines() if line.startswith("E: ")]
    return "; ".join((*unmet, *errors)) or "apt gives no reason"
