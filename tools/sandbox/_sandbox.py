"""The description of a sandbox, and the command line that enters it."""

from __future__ import annotations

import enum
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tools.errors import StrakeError
from tools.proc import Completed, Output, ProgramFailed, run
from tools.sandbox import enter

_MAX_ARGUMENT = 128 * 1024
"""The kernel's limit for one argument of a program (MAX_ARG_STRLEN)."""

_FILES = {
    "/etc/passwd": "root:x:0:0:root:/build:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "/etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "/etc/hosts": "127.0.0.1 localhost strake\n::1 localhost\n",
}


class SandboxError(StrakeError):
    """The sandbox cannot be entered; nothing was run."""


class Network(enum.Enum):
    """What a program in the sandbox can reach."""

    NONE = "none"
    """A loopback interface of its own and nothing else."""
    HOST = "host"
    """The host's network: for running a VM, never for building."""


@dataclass(frozen=True, slots=True)
class Bind:
    """A host file or directory made visible at an absolute path inside."""

    source: Path
    target: str
    writable: bool = False


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What a program may see.

    Attributes:
        root: the tools tree that becomes `/`; never written to.
        binds: mounted over it, in this order.
        env: all variables there are, next to the fixed ones of `BASE_ENV`.
        cwd: where the program starts; made when it does not exist.
        devices: device nodes of the host beyond null, zero, full, random, urandom.
    """

    root: Path
    binds: tuple[Bind, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    cwd: str = "/build"
    hostname: str = "strake"
    network: Network = Network.NONE
    devices: tuple[str, ...] = ()
    base_env: tuple[tuple[str, str], ...] = field(
        default=(
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/build"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
        )
    )

    def command(self, argv: Sequence[str], *, terminal: bool = False) -> list[str]:
        """The command that runs `argv` inside, for callers that start it themselves.

        Raises:
            SandboxError: the tools tree or a bind source does not exist.
        """
        for path in (self.root, *(bind.source for bind in self.binds)):
            if not path.exists():
                raise SandboxError(f"the sandbox needs {path}, which does not exist")
        config = {
            "argv": list(argv),
            "root": os.fspath(self.root.resolve()),
            "binds": [[os.fspath(b.source.absolute()), b.target, b.writable] for b in self.binds],
            "env": {**dict(self.base_env), **dict(self.env)},
            "cwd": self.cwd,
            "hostname": self.hostname,
            "network": self.network is Network.HOST,
            "devices": list(self.devices),
            "terminal": terminal,
            "files": self._files(),
        }
        text = json.dumps(config, separators=(",", ":"))
        if len(text) >= _MAX_ARGUMENT:
            raise SandboxError(f"the sandbox's description is too long ({len(text)} bytes)")
        return [sys.executable, "-I", "-S", os.fspath(Path(enter.__file__).resolve()), text]

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        output: Output = Output.CAPTURE,
        on_line: Callable[[str], None] | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Completed:
        """Run a program inside to its end, as `tools.proc.run` does outside.

        Raises:
            SandboxError: the sandbox could not be set up; the program was not run.
            ProgramFailed, ProgramTimeout: as `tools.proc.run`.
        """
        command = self.command(argv, terminal=output is Output.TERMINAL)
        done = run(
            command, stdin=stdin, output=output, on_line=on_line, timeout=timeout, check=False
        )
        tail = done.stderr[-65536:].decode("utf-8", "replace")
        if done.returncode == enter.FAILED and "sandbox: " in tail:
            raise SandboxError(
                tail.rpartition("sandbox: ")[2].strip(),
                "nothing was run; hermetic steps never fall back to the host",
            )
        if check and done.returncode != 0:
            said = tail or done.stdout[-65536:].decode("utf-8", "replace")
            raise ProgramFailed(argv, done.returncode, said)
        return done

    def _files(self) -> dict[str, str]:
        if self.network is Network.NONE:
            return dict(_FILES)
        resolv = Path("/etc/resolv.conf")
        return {**_FILES, "/etc/resolv.conf": resolv.read_text() if resolv.exists() else ""}
