"""What a tools tree needs besides package contents: what maintainer scripts would have made.

Each table is small and declared here, so that a tree is a function of its packages and of
this file. `LAYOUT` counts changes to how trees are made: it is part of a tree's digest.
"""

from __future__ import annotations

from collections.abc import Mapping

LAYOUT = 1

ALTERNATIVES: Mapping[str, tuple[str, ...]] = {
    "usr/bin/awk": ("mawk", "gawk", "original-awk"),
    "usr/bin/c++": ("g++",),
    "usr/bin/c89": ("c89-gcc",),
    "usr/bin/c99": ("c99-gcc",),
    "usr/bin/cc": ("gcc",),
    "usr/bin/cpp": ("cpp-14",),
    "usr/bin/nawk": ("mawk", "gawk", "original-awk"),
    "usr/bin/pager": ("less", "more"),
    "usr/bin/sh": ("dash", "bash"),
    "usr/bin/which": ("which.debianutils",),
    "usr/sbin/ebtables": ("ebtables-nft",),
    "usr/sbin/ip6tables": ("ip6tables-nft",),
    "usr/sbin/ip6tables-restore": ("ip6tables-nft-restore",),
    "usr/sbin/ip6tables-save": ("ip6tables-nft-save",),
    "usr/sbin/iptables": ("iptables-nft",),
    "usr/sbin/iptables-restore": ("iptables-nft-restore",),
    "usr/sbin/iptables-save": ("iptables-nft-save",),
}
"""A name, and what stands behind it: the first of these beside it that is there."""

FILES: Mapping[str, str] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1 localhost strake\n",
}
"""Files of a tree in which programs look up the user they run as."""

DIRECTORIES = (
    "build",
    "debs",
    "dev",
    "home",
    "in",
    "out",
    "proc",
    "root",
    "run",
    "src",
    "sys",
    "tmp",
    "var/tmp",
)
"""Empty directories: a read-only tree must bring the points to mount upon."""

MERGED_LINKS = ("bin", "lib", "lib64", "sbin")
"""Names at the top that are links into /usr."""

SKIPPED = (
    "usr/share/doc/",
    "usr/share/info/",
    "usr/share/lintian/",
    "usr/share/locale/",
    "usr/share/man/",
)
"""What no tool reads: a third of all files."""
