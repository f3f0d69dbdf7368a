"""The hermetic step `os/kernel:kernel`: from Debian's source and a configuration to bzImage.

Input: `config`, the outputs of `os/kernel:config`.  Outputs:

    bzImage      the kernel
    config       its complete configuration
    System.map   addresses of its functions, to read an oops by
    kernel.json  release, digests, size, and the value of every option
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

from tools.kernel import config, source
from tools.kernel.errors import KernelError
from tools.proc import ProgramFailed
from tools.sandbox import guest
from tools.sandbox.guest import Step, progress

EXPECTED_OBJECTS = 3300
"""About how many files a build compiles; only the progress display uses it."""

_IMAGE = Path("arch/x86/boot/bzImage")
_COMPILED = re.compile(r"  (?:CC|AS|HOSTCC|LD|AR|GEN)\s+\S")


def main(step: Step) -> None:
    """Build the kernel into `step.out`. Raises KernelError, DebError, ProgramError."""
    text = (step.inputs["config"] / "config").read_text()
    progress("unpack the kernel's source")
    tree = source.prepare(step.debs, step.build, step.epoch, step.jobs)
    build(tree, text, progress)
    release = tree.make("-s", "kernelrelease").strip()
    shutil.copyfile(tree.root / _IMAGE, step.out / "bzImage")
    shutil.copyfile(tree.root / "System.map", step.out / "System.map")
    (step.out / "config").write_text(text)
    (step.out / "kernel.json").write_text(describe(release, tree.root / _IMAGE, text))
    progress(f"Linux {release} is built")


def build(tree: source.Source, text: str, say: Callable[[str], None]) -> None:
    """Compile bzImage by a complete configuration.

    Raises:
        KernelError: the configuration is not complete, or a file does not compile or link.
    """
    config_file = tree.root / ".config"
    config_file.write_text(text)
    counter = Counter(EXPECTED_OBJECTS, say)
    try:
        tree.make("olddefconfig")
        if config_file.read_text() != text:
            raise KernelError("the configuration is not of this source", "build os/kernel:config")
        tree.make("bzImage", on_line=counter)
    except ProgramFailed as failure:
        raise KernelError(f"compiling failed: {source.complaint(failure.tail)}") from failure
    say(f"compiled {counter.done} files")


class Counter:
    """Turns make's lines into progress lines, one per percent, never above 99 %."""

    def __init__(self, expected: int, say: Callable[[str], None]) -> None:
        self._expected, self._say = expected, say
        self._percent = -1
        self.done = 0

    def __call__(self, line: str) -> None:
        if not _COMPILED.match(line):
            return
        self.done += 1
        percent = min(99, self.done * 100 // self._expected)
        if percent > self._percent:
            self._percent = percent
            self._say(f"compile {percent} %")


def describe(release: str, image: Path, text: str) -> str:
    """The content of kernel.json."""
    content = image.read_bytes()
    values = config.parse(text)
    about = {
        "version": release,
        "sha256": hashlib.sha256(content).hexdigest(),
        "size": len(content),
        "config_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "options": len(values),
        "symbols": values,
    }
    return json.dumps(about, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    guest.main(main)
