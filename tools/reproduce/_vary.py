"""Change what a build must not depend on, then become the build.

Run as a script under `python -I -S`; one argument, a JSON object:
{"umask", "hostname", "uid", "cpus", "argv", "env", "cwd"}. The user is changed in a user
namespace, in which the caller's own user bears another number; where that is not allowed
the build goes on as the caller and a line on standard error says so.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys

CLONE_NEWUTS, CLONE_NEWUSER = 0x04000000, 0x10000000


def _map(name: str, text: str) -> None:
    with open(f"/proc/self/{name}", "w") as file:
        file.write(text)


def _change_user_and_host(uid: int, hostname: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    euid, egid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWUTS) != 0:
        reason = os.strerror(ctypes.get_errno())
        print(f"note: user and host name are not varied: {reason}", file=sys.stderr)
        return
    _map("setgroups", "deny")
    _map("uid_map", f"{uid} {euid} 1")
    _map("gid_map", f"{uid} {egid} 1")
    name = hostname.encode()
    libc.sethostname(name, len(name))


def main(text: str) -> None:
    """Apply the variation and execute the build; does not return."""
    wanted = json.loads(text)
    os.umask(wanted["umask"])
    allowed = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, allowed[: wanted["cpus"]] if wanted["cpus"] else allowed)
    if wanted["uid"] is not None:
        _change_user_and_host(wanted["uid"], wanted["hostname"])
    os.chdir(wanted["cwd"])
    os.execve(wanted["argv"][0], wanted["argv"], wanted["env"])


if __name__ == "__main__":
    main(sys.argv[1])
