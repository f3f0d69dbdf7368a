"""Implementation of `tools.proc.run`."""

from __future__ import annotations

import enum
import os
import selectors
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

from tools.errors import StrakeError

FIXED_ENV: Mapping[str, str] = MappingProxyType(
    {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "HOME": "/nonexistent",
    }
)
"""What a program sees unless the caller adds to it."""

NETWORK_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)

_TAIL_BYTES = 64 * 1024
_KILL_AFTER_S = 5.0


class ProgramError(StrakeError):
    """An external program could not do its work."""


class ProgramNotFound(ProgramError):
    """The program does not exist or cannot be executed."""


class ProgramFailed(ProgramError):
    """The program ended with a non-zero status or by a signal.

    `returncode` is negative for a signal; `tail` is the end of what it printed.
    """

    def __init__(self, argv: Sequence[str], returncode: int, tail: str) -> None:
        last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
        said = f": {last.strip()}" if last else ", and said nothing"
        super().__init__(
            f"{_name(argv)} {_ended(returncode)}{said}", f"it was run as: {_shown(argv)}"
        )
        self.returncode = returncode
        self.tail = tail


class ProgramTimeout(ProgramError):
    """The program ran longer than it was given and was ended."""


class Output(enum.Enum):
    """What becomes of a program's standard output and error."""

    CAPTURE = "capture"
    """Both are kept and returned."""
    TERMINAL = "terminal"
    """Both, and standard input, are those of this process: for programs a person uses."""
    DISCARD = "discard"
    """Standard output is dropped; the end of standard error is kept for messages."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended. `seconds` is wall time; streams are empty unless captured."""

    argv: tuple[str, ...]
    returncode: int
    stdout: bytes
    stderr: bytes
    seconds: float

    @property
    def text(self) -> str:
        """Standard output as UTF-8, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")


def network_env(env: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The variables of the caller that a program needs to reach the network."""
    return {name: env[name] for name in NETWORK_VARIABLES if name in env}


def run(
    argv: Sequence[str | os.PathLike[str]],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    output: Output = Output.CAPTURE,
    on_line: Callable[[str], None] | None = None,
    timeout: float | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
    end_with: signal.Signals = signal.SIGTERM,
) -> Completed:
    """Run a program to its end.

    Args:
        argv: the program and its arguments; no shell is involved.
        env: variables added to `FIXED_ENV`; nothing else is inherited.
        stdin: bytes fed to it; with `Output.TERMINAL` it reads the terminal instead.
        on_line: called with each line of output and error, in the order they arrive.
        timeout: seconds after which the whole process group is ended.
        check: raise when the status is not 0.
        pass_fds: file descriptors the program inherits.
        end_with: what it is sent on a timeout or Ctrl-C, five seconds before it is killed.

    Raises:
        ProgramNotFound: it does not exist or may not be executed.
        ProgramFailed: `check` is set and the status is not 0.
        ProgramTimeout: it ran longer than `timeout`.
    """
    words = tuple(os.fspath(word) for word in argv)
    started = time.monotonic()
    process = _spawn(words, {**FIXED_ENV, **(env or {})}, cwd, output, bool(stdin), pass_fds)
    try:
        streams = _Pump(process, stdin, on_line, output).until(started, timeout)
    except BaseException:
        _end_group(process, output, end_with)
        raise
    if streams is None:
        _end_group(process, output, end_with)
        raise ProgramTimeout(
            f"{_name(words)} did not end within {timeout:g} s", f"it was run as: {_shown(words)}"
        )
    stdout, stderr = streams
    done = Completed(words, process.returncode, stdout, stderr, time.monotonic() - started)
    if check and done.returncode != 0:
        tail = (stderr or stdout)[-_TAIL_BYTES:].decode("utf-8", "replace")
        raise ProgramFailed(words, done.returncode, tail)
    return done


def _spawn(
    argv: tuple[str, ...],
    env: Mapping[str, str],
    cwd: Path | None,
    output: Output,
    has_input: bool,
    pass_fds: Sequence[int],
) -> subprocess.Popen[bytes]:
    terminal = output is Output.TERMINAL
    pipe = None if terminal else subprocess.PIPE
    stdin = None if terminal else subprocess.PIPE if has_input else subprocess.DEVNULL
    try:
        return subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=pipe,
            stderr=pipe,
            pass_fds=tuple(pass_fds),
            process_group=None if terminal else 0,
        )
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        if cwd is not None and not cwd.is_dir():
            raise ProgramNotFound(f"cannot run {argv[0]} in {cwd}: no such directory") from error
        reason = error.strerror.lower() if error.strerror else "cannot be executed"
        raise ProgramNotFound(f"cannot run {argv[0]}: {reason}") from error


class _Pump:
    """Moves bytes between a process and us until it has ended and its pipes are empty."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        stdin: bytes,
        on_line: Callable[[str], None] | None,
        output: Output,
    ) -> None:
        self._process = process
        self._pending = memoryview(stdin)
        self._on_line = on_line
        self._keep = {
            process.stdout: bytearray() if output is Output.CAPTURE else None,
            process.stderr: bytearray(),
        }
        self._partial: dict[IO[bytes] | None, bytes] = {}
        self._bounded = output is Output.DISCARD

    def until(self, started: float, timeout: float | None) -> tuple[bytes, bytes] | None:
        """Both streams, or None when `timeout` seconds since `started` have passed."""
        process = self._process
        with selectors.DefaultSelector() as selector:
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    selector.register(stream, selectors.EVENT_READ)
            if process.stdin is not None:
                os.set_blocking(process.stdin.fileno(), False)
                selector.register(process.stdin, selectors.EVENT_WRITE)
            while selector.get_map():
                left = None if timeout is None else timeout - (time.monotonic() - started)
                if left is not None and left <= 0:
                    return None
                for key, _ in selector.select(left):
                    if not self._move(key.fileobj):  # type: ignore[arg-type]  # we registered it
                        selector.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]  # never a bare int
        left = None if timeout is None else max(0.0, timeout - (time.monotonic() - started))
        try:
            process.wait(left)
        except subprocess.TimeoutExpired:
            return None
        return bytes(self._keep[process.stdout] or b""), bytes(self._keep[process.stderr] or b"")

    def _move(self, stream: IO[bytes]) -> bool:
        """Move what can be moved; False once this stream is done."""
        if stream is self._process.stdin:
            return self._feed(stream)
        chunk = os.read(stream.fileno(), 65536)
        kept = self._keep[stream]
        if kept is not None:
            kept += chunk
            if self._bounded and len(kept) > 2 * _TAIL_BYTES:
                del kept[:-_TAIL_BYTES]
        if self._on_line is not None:
            self._lines(stream, chunk)
        return bool(chunk)

    def _feed(self, stream: IO[bytes]) -> bool:
        try:
            written = os.write(stream.fileno(), self._pending[:65536])
        except BrokenPipeError:
            return False
        self._pending = self._pending[written:]
        return bool(self._pending)

    def _lines(self, stream: IO[bytes], chunk: bytes) -> None:
        assert self._on_line is not None
        *lines, rest = (self._partial.get(stream, b"") + chunk).split(b"\n")
        if not chunk and rest:
            lines, rest = [*lines, rest], b""
        self._partial[stream] = rest
        for line in lines:
            self._on_line(line.decode("utf-8", "replace").rstrip("\r"))


def _end_group(process: subprocess.Popen[bytes], output: Output, politely: signal.Signals) -> None:
    """End the process and all it started, first politely; returns when it is reaped."""
    for sign in (politely, signal.SIGKILL):
        try:
            if output is Output.TERMINAL:
                process.send_signal(sign)
            else:
                os.killpg(process.pid, sign)
            process.wait(_KILL_AFTER_S)
        except ProcessLookupError:
            process.wait()
        except subprocess.TimeoutExpired:
            continue
        break
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def _name(argv: Sequence[str]) -> str:
    return os.path.basename(argv[0])


def _ended(returncode: int) -> str:
    if returncode >= 0:
        return f"failed with status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was ended by signal {-returncode}"


def _shown(argv: Sequence[str], width: int = 300) -> str:
    line = shlex.join(argv)
    return line if len(line) <= width else line[: width - 1] + "…"
