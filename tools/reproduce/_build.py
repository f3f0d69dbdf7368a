"""One build of a target under one variation, isolated from all other builds."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.cli.pants import explain
from tools.errors import StrakeError
from tools.proc import ProgramFailed, network_env, run
from tools.reproduce import _vary
from tools.workspace import store_dir

_PASSED_ON = ("PATH", "PYENV_ROOT", "PANTS_BOOTSTRAP_PYTHON", "STRAKE_PYTHON", "LD_LIBRARY_PATH")


class ReproduceError(StrakeError):
    """A varied build failed, or left nothing to compare."""


@dataclass(frozen=True, slots=True)
class Variation:
    """What surrounds a build.

    Attributes:
        directory: where the copy of the tree lies, below the work directory.
        umask: file mode creation mask.
        uid: number that the user has; None leaves it and the host name alone.
        cpus: processors it may use; 0 means all there are.
    """

    name: str
    directory: str
    umask: int
    timezone: str
    locale: str
    hostname: str
    uid: int | None
    cpus: int


VARIATIONS = (
    Variation("first", "a", 0o022, "UTC", "C.UTF-8", "", None, 0),
    Variation(
        "second",
        "another/much-longer/path-to-the-tree",
        0o077,
        "Pacific/Kiritimati",
        "tr_TR.UTF-8",
        "elsewhere.example",
        4321,
        1,
    ),
)
"""The two builds of `./strake reproduce`."""


def build_varied(
    target: str, variation: Variation, root: Path, work: Path, say: Callable[[str], None]
) -> Path:
    """Build `target` from a copy of `root` with caches of its own; returns its `dist/`.

    Raises:
        ReproduceError: the build failed; the message is the build's own.
    """
    tree = work / variation.name / variation.directory
    copy_tree(root, tree)
    command = _command(target, variation, tree, work / variation.name)
    try:
        run(command, on_line=say)
    except ProgramFailed as failure:
        raise explain(f"{target} ({variation.name} build)", failure.tail) from failure
    dist = tree / "dist"
    if not any(dist.rglob("*")):
        raise ReproduceError(f"the {variation.name} build of {target} left nothing in dist/")
    return dist


def copy_tree(root: Path, target: Path) -> None:
    """Copy what git tracks or would track, as it is in the work tree, to an empty directory."""
    if target.exists():
        shutil.rmtree(target)
    target.mkdir(parents=True)
    git = ["git", "-C", str(root), "-c", f"safe.directory={root}"]
    listed = run([*git, "ls-files", "-z", "-co", "--exclude-standard"])
    for name in sorted(set(filter(None, listed.text.split("\0")))):
        source = root / name
        if source.is_symlink() or source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)


def _command(target: str, variation: Variation, tree: Path, base: Path) -> list[str]:
    home = base / "home"
    home.mkdir(parents=True, exist_ok=True)
    config = {
        "umask": variation.umask,
        "hostname": variation.hostname,
        "uid": variation.uid,
        "cpus": variation.cpus,
        "cwd": str(tree),
        "env": _environment(variation, base, home, os.environ),
        "argv": [str(tree / "pants"), "--no-pantsd", "--no-dynamic-ui", "package", target],
    }
    return [sys.executable, "-I", "-S", str(Path(_vary.__file__).resolve()), json.dumps(config)]


def _environment(
    variation: Variation, base: Path, home: Path, env: Mapping[str, str]
) -> dict[str, str]:
    passed = {name: env[name] for name in env if name in _PASSED_ON or name.startswith("PIP_")}
    pip_config = Path(env.get("HOME", "/")) / ".config/pip/pip.conf"
    if pip_config.is_file():
        passed.setdefault("PIP_CONFIG_FILE", str(pip_config))
    if "PYENV_ROOT" not in passed and (Path(env.get("HOME", "/")) / ".pyenv").is_dir():
        passed["PYENV_ROOT"] = str(Path(env["HOME"]) / ".pyenv")
    return {
        **passed,
        **network_env(env),
        "HOME": str(home),
        "XDG_CACHE_HOME": str(base / "cache"),
        "STRAKE_MIRROR": str(store_dir(env) / "store"),
        "TZ": variation.timezone,
        "LC_ALL": variation.locale,
    }
