"""Where things lie: the repository, the user's cache, and the store inside it.

The store is also a Pants named cache, so that a step run by Pants and one run by
`./strake` share packages, tools trees and locks. Nothing in it is needed to rebuild:
it can be deleted at any time while no build runs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from tools.errors import StrakeError

NAMED_CACHE = "strake"


class WorkspaceError(StrakeError):
    """The repository or the cache directory cannot be located."""


def repo_root() -> Path:
    """The directory that holds `pants.toml`, found from this file upwards.

    Raises:
        WorkspaceError: this module was copied out of a repository.
    """
    for parent in Path(__file__).resolve().parents:
        if (parent / "pants.toml").is_file():
            return parent
    raise WorkspaceError(
        f"no pants.toml above {Path(__file__).resolve()}",
        "run ./strake from a clone of the repository",
    )


def cache_dir(env: Mapping[str, str] = os.environ) -> Path:
    """`$XDG_CACHE_HOME/strake`, or `~/.cache/strake` (XDG Base Directory specification).

    Raises:
        WorkspaceError: neither variable names an absolute path.
    """
    base = env.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "strake"
    home = env.get("HOME", "")
    if home.startswith("/"):
        return Path(home) / ".cache" / "strake"
    raise WorkspaceError(
        "no place for the cache: neither XDG_CACHE_HOME nor HOME is an absolute path",
        "set HOME, or XDG_CACHE_HOME to a directory with 20 GB free",
    )


def store_dir(env: Mapping[str, str] = os.environ) -> Path:
    """The store shared with Pants: packages, tools trees, settings of the mirror."""
    return cache_dir(env) / "named" / NAMED_CACHE
