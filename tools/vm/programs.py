"""The programs that run a machine, taken from the locked tools tree.

QEMU, its firmware, qemu-img, ssh and zstd come from the package set `vm` of the lock, not
from the host. They run where they lie, through the tree's own loader and libraries, in no
sandbox: they must reach /dev/kvm, the terminal and the loopback interface, and need no
privilege for it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.vm.errors import VmError

TREE_VARIABLE = "STRAKE_VM_TREE"
"""Names a directory to take the programs from instead; `/` is the host itself."""

_LOADER = "usr/lib64/ld-linux-x86-64.so.2"
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_PLACES = ("usr/bin", "usr/sbin", "bin", "sbin", "usr/lib/qemu")


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs and data files below one root."""

    root: Path

    @property
    def is_host(self) -> bool:
        """Whether these are the host's own programs."""
        return self.root == Path("/")

    @property
    def env(self) -> Mapping[str, str]:
        """Variables that make the programs find their parts in the tree."""
        if self.is_host:
            return {}
        libraries = self.root / _LIBRARIES
        return {
            "QEMU_MODULE_DIR": str(libraries / "qemu"),
            "GCONV_PATH": str(libraries / "gconv"),
        }

    def argv(self, name: str, *arguments: str | os.PathLike[str]) -> tuple[str, ...]:
        """The words that run program `name`.

        Raises:
            VmError: the tree holds no such program.
        """
        program = next(
            (path for place in _PLACES if (path := self.root / place / name).is_file()),
            None,
        )
        if program is None:
            raise VmError(
                f"no program {name} in {self.root}",
                "the package set `vm` of os/packages/packages.toml must bring it",
            )
        return (
            *self._loader(name),
            str(program),
            *(os.fspath(word) for word in arguments),
        )

    def file(self, *candidates: str) -> Path:
        """The first of these data files (relative to the root) that exists.

        Raises:
            VmError: none does.
        """
        for candidate in candidates:
            path = self.root / candidate
            if path.is_file():
                return path
        raise VmError(
            f"no {' or '.join(candidates)} in {self.root}",
            "the package set `vm` of os/packages/packages.toml must bring it",
        )

    @property
    def data_dirs(self) -> tuple[Path, ...]:
        """Where QEMU finds its ROMs."""
        names = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")
        return () if self.is_host else tuple(self.root / name for name in names)

    def _loader(self, name: str) -> tuple[str, ...]:
        if self.is_host:
            return ()
        loader = self.root / _LOADER
        if not loader.is_file():
            raise VmError(f"no dynamic loader {_LOADER} in {self.root}")
        libraries = self.root / _LIBRARIES
        path = ":".join(str(libraries / part) for part in ("", "pulseaudio", "systemd"))
        return (str(loader), "--inhibit-cache", "--library-path", path, "--argv0", name)


def locate(env: Mapping[str, str] = os.environ) -> Programs:
    """The programs of the lock's set `vm`, fetched and unpacked if they are not yet.

    Raises:
        VmError: `STRAKE_VM_TREE` names no directory.
        DebianError: a package cannot be had.
    """
    named = env.get(TREE_VARIABLE, "")
    if named:
        if not Path(named).is_dir():
            raise VmError(f"{TREE_VARIABLE} is {named}, which is no directory")
        return Programs(Path(named))
    # Imported here: a machine run with programs at hand needs nothing of packages.
    from tools.vm.tree import materialised

    return Programs(materialised())
