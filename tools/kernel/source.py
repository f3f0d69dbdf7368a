"""A kernel source: unpacking Debian's package, and running make in it the same way everywhere.

What could leak into the image is fixed here: build user, host, number and time; the tree
is built in place, so that file names in messages are relative; zstd runs one worker,
since the number of workers shapes its output. Everything else comes from the sandbox.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.debian.deb import Deb
from tools.kernel.errors import KernelError
from tools.proc import run

CONFIG_ONLY = ("*/Makefile", "*/Kbuild", "*/Kconfig*", "*/scripts/*", "*/arch/x86/Makefile*")
"""Members of the source archive that are enough to configure."""

_ARCHIVE = re.compile(r"/linux-source-[^/]*\.tar\.xz$")
_COMPLAINT = re.compile(r"\berror\b|\*\*\*|undefined reference", re.IGNORECASE)
_ALTERNATIVES = {"awk": ("/usr/bin/mawk", "/usr/bin/gawk")}


@dataclass(frozen=True, slots=True)
class Source:
    """An unpacked kernel source and how to run make in it.

    `epoch` is the build time that the image will show; `jobs` does not change the result;
    `links` is a directory of program links that goes first in PATH.
    """

    root: Path
    epoch: int
    jobs: int
    links: Path

    def make(self, *words: str, on_line: Callable[[str], None] | None = None) -> str:
        """Run make; returns what it printed. Raises ProgramError."""
        argv = ["make", f"-j{self.jobs}", "ARCH=x86", *words]
        return run(argv, cwd=self.root, env=self._env(), on_line=on_line).text

    def _env(self) -> dict[str, str]:
        stamp = time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(self.epoch))
        return {
            "PATH": f"{self.links}:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C",
            "KBUILD_BUILD_TIMESTAMP": stamp,
            "KBUILD_BUILD_USER": "strake",
            "KBUILD_BUILD_HOST": "strake",
            "KBUILD_BUILD_VERSION": "1",
            "ZSTD_NBTHREADS": "1",
        }


def prepare(
    debs: Mapping[str, Path], scratch: Path, epoch: int, jobs: int, members: Iterable[str] = ()
) -> Source:
    """Unpack the one linux-source package among `debs`, or only the `members` that match.

    Raises:
        KernelError: there is not exactly one, or it holds no kernel source.
        DebError: the package is damaged.
    """
    packages = [path for name, path in debs.items() if name.startswith("linux-source-")]
    if len(packages) != 1:
        raise KernelError(f"{len(packages)} linux-source packages are locked, one is needed")
    return Source(_unpack(packages[0], scratch, members), epoch, jobs, _links(scratch))


def complaint(tail: str) -> str:
    """The first line of a failed make that says what is wrong."""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    complaints = [line for line in lines if _COMPLAINT.search(line)]
    return (complaints or lines or ["make said nothing"])[0]


def _unpack(deb: Path, into: Path, members: Iterable[str]) -> Path:
    archive = into / "linux-source.tar.xz"
    _extract(deb, archive)
    run(["tar", "-C", into, "--no-same-owner", "-xf", archive, "--wildcards", *members])
    archive.unlink()
    roots = sorted(path.parent for path in into.glob("*/Kbuild"))
    if len(roots) != 1:
        raise KernelError(f"{deb.name} does not hold one kernel source")
    return roots[0]


def _extract(deb: Path, archive: Path) -> None:
    """Copy the source archive out of the package."""
    with Deb(deb).data() as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content and _ARCHIVE.search(member.name):
                with archive.open("wb") as out:
                    shutil.copyfileobj(content, out, 1 << 20)
                return
    raise KernelError(f"{deb.name} holds no linux-source-*.tar.xz")


def _links(scratch: Path) -> Path:
    """Programs under the names that Debian's alternatives would give them."""
    links = scratch / "links"
    links.mkdir()
    for name, candidates in _ALTERNATIVES.items():
        present = [candidate for candidate in candidates if Path(candidate).exists()]
        if present:
            (links / name).symlink_to(present[0])
    return links
