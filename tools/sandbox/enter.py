"""Enter a sandbox and run a program in it: the part that speaks to the kernel.

Run as a script by `tools.sandbox.Sandbox` under `python -I -S`; it imports little, for
start-up time, and nothing of ours. One argument: the JSON object that `_sandbox.py`
writes. What it does, in order:

1. new user, mount, PID, UTS, IPC and network namespaces; only our own user is mapped, to
   root (root may do without a user namespace where the host forbids them);
2. a root of read-only bind mounts of the tools tree, private /proc, /dev and /tmp;
3. pivot into it, give up nearly all capabilities, and run the program as the child of a
   small init that reaps orphans.

When the process that started it ends, however that happens, the kernel ends everything
inside. Exit status: the program's; 128+N when signal N ended it; 125 when the sandbox
could not be set up, with one line on standard error that starts with `sandbox: `.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import json
import os
import signal
import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable

    Config = dict[str, Any]

FAILED = 125

# Constants of the kernel's interface (linux/sched.h, mount.h, prctl.h, capability.h, sockios.h).
CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_NOATIME, MS_NODIRATIME, MS_BIND = 32, 1024, 2048, 4096
MS_REC, MS_PRIVATE, MS_RELATIME = 16384, 1 << 18, 1 << 21
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
SYS_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
SIOCSIFFLAGS, IFF_UP = 0x8914, 1
ADDR_NO_RANDOMIZE = 0x0040000
# DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID: what an ordinary build run as root may
# need. The rest (SYS_ADMIN, NET_ADMIN, CHOWN, MKNOD …) is given up, so that the program cannot
# change its mounts, and sees the same system with and without a user namespace.
KEPT_CAPABILITIES = (1, 3, 4, 5, 6, 7)
LAST_CAPABILITY = 63

libc = ctypes.CDLL(None, use_errno=True)


class SetupError(Exception):
    """The sandbox could not be made; the text says what was tried and what to do."""


def check(result: int, what: str) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise SetupError("cannot " + what + ": " + os.strerror(number))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    check(
        libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() if kind else None,
            ctypes.c_ulong(flags),
            data.encode() if data else None,
        ),
        "mount " + source + " at " + target,
    )


def locked_flags(path: str) -> int:
    """Flags that a mount taken from another user namespace must keep."""
    vfs = os.statvfs(path).f_flag
    pairs = (
        (os.ST_NOSUID, MS_NOSUID),
        (os.ST_NODEV, MS_NODEV),
        (os.ST_NOEXEC, MS_NOEXEC),
        (os.ST_NOATIME, MS_NOATIME),
        (os.ST_NODIRATIME, MS_NODIRATIME),
        (os.ST_RELATIME, MS_RELATIME),
    )
    return sum(flag for bit, flag in pairs if vfs & bit)


def bind(source: str, target: str, writable: bool, device: bool = False) -> None:
    """Make `source` visible at `target`, creating the mount point."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(source, target, None, MS_BIND | MS_REC)
    if device:
        return
    flags = MS_BIND | MS_REMOUNT | MS_NOSUID | MS_NODEV | locked_flags(target)
    mount("none", target, None, flags | (0 if writable else MS_RDONLY))


def unshare_all(network: bool, euid: int, egid: int) -> None:
    """New namespaces; a user namespace too, unless root has to do without."""
    flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID
    if not network:
        flags |= CLONE_NEWNET
    if libc.unshare(flags | CLONE_NEWUSER) == 0:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", "0 %d 1" % euid),
            ("gid_map", "0 %d 1" % egid),
        ):
            write("/proc/self/" + name, text)
        return
    number = ctypes.get_errno()
    if euid != 0:
        raise SetupError(
            "cannot make a user namespace: "
            + os.strerror(number)
            + "; allow them (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone=1, "
            "kernel.apparmor_restrict_unprivileged_userns=0) or run as root"
        )
    if number not in (errno.EPERM, errno.EINVAL, errno.ENOSPC, errno.ENOSYS):
        raise SetupError("cannot make namespaces: " + os.strerror(number))
    check(libc.unshare(flags), "make namespaces, even as root")


def write(path: str, text: str) -> None:
    try:
        with open(path, "w") as file:
            file.write(text)
    except OSError as error:
        raise SetupError(f"cannot write {path}: {error.strerror}") from error


def loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", IFF_UP))


def bind_tree(tree: str, new: str, generated: dict[str, str], taken: set[str]) -> None:
    """Bind each top entry of the tools tree; /etc entry by entry, so that files can be added.

    Entries in `taken` are left out: binds of the step get mount points of their own there.
    """
    for name in sorted(os.listdir(tree)):
        source, target = os.path.join(tree, name), os.path.join(new, name)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif name == "etc":
            os.makedirs(target, exist_ok=True)
            for entry in sorted(os.listdir(source)):
                inner, outer = os.path.join(source, entry), os.path.join(target, entry)
                if os.path.islink(inner):
                    os.symlink(os.readlink(inner), outer)
                elif "/etc/" + entry not in generated:
                    bind(inner, outer, False)
        elif name not in ("proc", "dev", "tmp", "sys", "run") and name not in taken:
            bind(source, target, False)
    for path, text in generated.items():
        target = new + path
        if os.path.lexists(target):
            os.unlink(target)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        write(target, text)


def make_dev(new: str, devices: list[str], terminal: bool) -> None:
    dev = os.path.join(new, "dev")
    os.mkdir(dev)
    mount("tmpfs", dev, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755")
    for path in ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", *devices):
        bind(path, new + path, True, device=True)
    for name, to in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink("/proc/self/fd" + to, os.path.join(dev, name))
    os.mkdir(os.path.join(dev, "shm"))
    mount("tmpfs", os.path.join(dev, "shm"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    if terminal and os.path.exists("/dev/tty"):
        bind("/dev/tty", os.path.join(dev, "tty"), True, device=True)


def build_root(config: Config) -> None:
    """Compose the new root, and make it `/`."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    new = "/tmp"  # any directory serves: the mount is private to us, and gone after the pivot
    binds = [(os.path.realpath(source), target, rw) for source, target, rw in config["binds"]]
    handles = [os.open(source, os.O_PATH | os.O_CLOEXEC) for source, _, _ in binds]
    tree = os.open(config["root"], os.O_PATH | os.O_CLOEXEC)
    mount("tmpfs", new, "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    taken = {target.split("/")[1] for _, target, _ in binds}
    bind_tree("/proc/self/fd/%d/." % tree, new, config["files"], taken)
    for name in ("proc", "tmp", "run"):
        os.makedirs(os.path.join(new, name), exist_ok=True)
    mount("proc", os.path.join(new, "proc"), "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("tmpfs", os.path.join(new, "tmp"), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    make_dev(new, config["devices"], config["terminal"])
    for handle, (_, target, writable) in zip(handles, binds, strict=True):
        bind("/proc/self/fd/%d" % handle, new + target, writable)
    os.makedirs(new + config["cwd"], exist_ok=True)
    os.mkdir(os.path.join(new, ".old"))
    number = SYS_PIVOT_ROOT[os.uname().machine]
    check(libc.syscall(number, new.encode(), (new + "/.old").encode()), "pivot into the sandbox")
    os.chdir("/")
    check(libc.umount2(b"/.old", MNT_DETACH), "detach the host's files")
    os.rmdir("/.old")
    mount("none", "/", None, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV)


def init(config: Config) -> int:
    """PID 1 of the sandbox: set it up, run the program, reap, and pass its status on."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    hostname = config["hostname"].encode()
    check(libc.sethostname(hostname, len(hostname)), "set the host name")
    if not config["network"]:
        loopback_up()
    build_root(config)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.chdir(config["cwd"])
    os.umask(0o022)
    program = os.fork()
    if program == 0:
        execute(config)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda signo, _: os.kill(program, signo))
    while True:
        try:
            pid, status = os.wait()
        except InterruptedError:
            continue
        if pid == program:
            return exit_code(status)


def execute(config: Config) -> NoReturn:
    for capability in range(LAST_CAPABILITY + 1):
        if capability not in KEPT_CAPABILITIES:
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.personality(ctypes.c_ulong(ADDR_NO_RANDOMIZE))
    argv = config["argv"]
    try:
        os.execvpe(argv[0], argv, config["env"])
    except OSError as error:
        print(f"sandbox: cannot run {argv[0]}: {error.strerror}", file=sys.stderr)
        os._exit(FAILED)


def exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def main(text: str) -> int:
    config = json.loads(text)
    parent = os.getppid()
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        return FAILED
    try:
        unshare_all(config["network"], os.geteuid(), os.getegid())
        child = os.fork()
        if child == 0:
            os._exit(guarded(init, config))
    except (SetupError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return FAILED
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda signo, _: os.kill(child, signo))
    return exit_code(os.waitpid(child, 0)[1])


def guarded(function: Callable[[Config], int], config: Config) -> int:
    """`function`'s status, or 125 with one line where the kernel said no."""
    try:
        return function(config)
    except (SetupError, OSError) as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
