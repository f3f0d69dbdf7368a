"""A small repository of its own: our build tool and rules, two steps, and a driver that only
writes down what it was given. No package is fetched and nothing is sandboxed by us.
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent
from typing import Any

from tools.proc import Completed, run

COPIED = ("pants", "pants.toml", "build-support", "3rdparty", "pants-plugins")

# `made` is random, so two equal values mean that the second one came from a cache.
DRIVER = """\
import json, os, secrets, sys
from pathlib import Path
from tools import helper

spec = json.loads(Path(sys.argv[sys.argv.index("--spec") + 1]).read_text())
if spec["params"].get("fail"):
    sys.exit("error: the disk is full\\nhint: make room")
roots = ("in", "packages", "src")
files = sorted(str(path) for r in roots for path in Path(r).rglob("*") if path.is_file())
record = {"spec": spec, "files": files, "env": dict(os.environ), "made": secrets.token_hex()}
Path("out/record.json").write_text(json.dumps(record))
Path("out/not-declared").write_text("left behind")
"""

LOCK = {
    "epoch": 17,
    "packages": [
        {"name": "b", "sha256": "0b", "sets": ["tools", "debs"]},
        {"name": "a", "sha256": "0a", "sets": ["tools"]},
        {"name": "z", "sha256": "0c", "sets": ["other"]},
    ],
}

FILES = {
    "tools/BUILD": "python_sources()",
    "tools/helper.py": "",
    "tools/program.py": "from tools import part",
    "tools/part.py": "",
    "tools/sandbox/BUILD": "python_sources()",
    "tools/sandbox/step.py": DRIVER,
    "service/BUILD": "python_sources()",
    "service/main.py": "import service.lib",
    "service/lib.py": "",
    "brand/BUILD": """
        files(name="brand", sources=["*.toml"])
        file(name="logo", source="logo.svg")
        """,
    "brand/brand.toml": "name = 'x'",
    "brand/logo.svg": "<svg/>",
    "demo/lock.json": json.dumps(LOCK),
    "demo/fragments/a": "A",
    "demo/fragments/deep/b": "B",
    "demo/conf.toml": "",
    "demo/BUILD": """
        debian_packages(name="tools", lock="lock.json", set="tools")
        debian_packages(name="debs", lock="lock.json", set="debs")
        strake_step(
            name="first",
            program="tools.program",
            tools=":tools",
            debs=[":debs"],
            sources=["fragments/**", "conf.toml"],
            params={"list": [1, {"x": None}]},
            outputs=["record.json"],
        )
        strake_step(
            name="second",
            program="tools.program",
            tools=":tools",
            dependencies=[":first", "brand", "brand:logo"],
            payload=["service/main.py"],
            outputs=["record.json"],
        )
        strake_step(
            name="bad",
            program="tools.program",
            tools=":tools",
            params={"fail": True},
            outputs=["record.json"],
        )
        """,
}


@dataclass(frozen=True, slots=True)
class Tree:
    """The repository and the stores used to build in it."""

    root: Path

    def pants(self, *words: str, store: str = "store", check: bool = True) -> Completed:
        """Run ./pants without its daemon, with an own local store of the given name."""
        env = {name: os.environ[name] for name in ("HOME", "XDG_CACHE_HOME") if name in os.environ}
        env["PANTS_LOCAL_STORE_DIR"] = str(self.root / ".stores" / store)
        command: list[str | Path] = [
            self.root / "pants",
            "--no-pantsd",
            "--no-dynamic-ui",
            "--no-colors",
            *words,
        ]
        return run(command, cwd=self.root, env=env, check=check)

    def record(self, step: str) -> dict[str, Any]:
        """What the driver wrote down for a step that was packaged."""
        path = self.root / "dist" / "demo" / step / "record.json"
        record = json.loads(path.read_text())
        assert isinstance(record, dict)
        return record

    def write(self, path: str, text: str) -> None:
        """Write a file of the repository, its indentation removed."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(dedent(text))


def plant(root: Path) -> Tree:
    """Lay out the repository below an empty directory; our own files are taken from here."""
    for name in COPIED:
        source = Path.cwd() / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("BUILD"))
        else:
            shutil.copy(source, root / name)
    tree = Tree(root)
    for path, text in FILES.items():
        tree.write(path, text)
    return tree
