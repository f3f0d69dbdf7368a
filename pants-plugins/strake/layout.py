"""What a step's sandbox holds, as plain functions: no engine, no file access.

    src/…                first-party Python: the program, the driver, and all they import
    in/NAME…             inputs by name
    packages/NAME.json   one set of the package lock each
    step.json            the description that `tools.sandbox.step` reads
    .strake              the store, a cache that Pants mounts
    out/                 what the step makes

All paths are relative, and nothing names the host: equal steps have equal cache keys on
every machine.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

DRIVER = "tools.sandbox.step"
SOURCES = "src"
INPUTS = "in"
PACKAGES = "packages"
SPEC = "step.json"
STORE = ".strake"
OUT = "out"
PAYLOAD = "python"

ARGV = (f"{STORE}/bin/python3", "-s", "-B", "-m", DRIVER, "--store", STORE, "--spec", SPEC)


class LayoutError(Exception):
    """A target cannot be laid out; the message is for the author of its BUILD file."""


@dataclass(frozen=True)
class PackageSet:
    """One set of the package lock: its JSON list, and the lock's date (Unix seconds)."""

    name: str
    text: str
    epoch: int

    @property
    def path(self) -> str:
        """Where the list lies in the sandbox."""
        return f"{PACKAGES}/{self.name}.json"


def package_set(lock: str, name: str) -> PackageSet:
    """Cut one set out of the text of a package lock.

    The result depends on this set's own packages alone, so that a change of another set
    leaves the keys of this one's steps as they are (their date apart).

    Raises:
        LayoutError: the lock is unreadable or has no such set.
    """
    try:
        raw = json.loads(lock)
        packages = [dict(p, sets=[name]) for p in raw["packages"] if name in p["sets"]]
        epoch = int(raw["epoch"])
    except (ValueError, KeyError, TypeError) as error:
        raise LayoutError(f"the package lock is not usable: {error!r}; run ./strake lock") from None
    if not packages:
        raise LayoutError(f"the package lock has no set {name!r}; run ./strake lock")
    packages.sort(key=lambda package: str(package["name"]))
    lines = ",\n".join(json.dumps(package, sort_keys=True) for package in packages)
    return PackageSet(name, f"[\n{lines}\n]\n", epoch)


def source_inputs(directory: str, files: Iterable[str]) -> dict[str, str]:
    """Inputs that a step's own sources make: name to path below `in/`.

    The name is the first component of the path below the step's directory, so
    `fragments/a` and `fragments/b` are one input, the directory `fragments`.
    """
    prefix = f"{directory}/" if directory else ""
    names = sorted({file[len(prefix) :].split("/", 1)[0] for file in files})
    return {name: name for name in names}


def merged_inputs(parts: Iterable[Mapping[str, str]], target: str) -> dict[str, str]:
    """All inputs of a step.

    Raises:
        LayoutError: two of them have the same name.
    """
    merged: dict[str, str] = {}
    for part in parts:
        for name, path in part.items():
            if name in merged:
                raise LayoutError(
                    f"{target} has two inputs named {name!r}; rename one of the targets or files"
                )
            merged[name] = path
    return merged


def spec(
    *,
    name: str,
    program: str,
    tools: PackageSet,
    debs: Iterable[PackageSet],
    inputs: Mapping[str, str],
    params: str,
) -> str:
    """The description of a step; `params` is JSON already, `inputs` are paths below `in/`."""
    debs = tuple(debs)
    content = {
        "name": name,
        "program": program,
        "packages": {"tools": tools.path, "debs": [one.path for one in debs]},
        "inputs": {name: f"{INPUTS}/{path}" for name, path in inputs.items()},
        "params": json.loads(params),
        "epoch": max(one.epoch for one in (tools, *debs)),
        "out": OUT,
    }
    return json.dumps(content, sort_keys=True, indent=1) + "\n"


def missing_outputs(declared: Iterable[str], made: Iterable[str]) -> tuple[str, ...]:
    """Outputs that a step promised and did not make."""
    return tuple(sorted(set(declared) - set(made)))


def failure(target: str, stdout: str, stderr: str, status: int) -> str:
    """The message for a step that failed: its own `error:` and `hint:` lines where it gave any."""
    said = [line for line in stderr.splitlines() if line.startswith(("error: ", "hint: "))]
    if said:
        return "\n".join(said)
    tail = [line for line in (stdout + stderr).splitlines() if line.strip()][-15:]
    return "\n".join([f"error: {target} ended with status {status}", *tail])
