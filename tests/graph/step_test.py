"""`strake_step`, through a real run of the build tool."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.graph.tree import LOCK, Tree, plant


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Tree:
    tree = plant(tmp_path_factory.mktemp("repo"))
    tree.pants("package", "demo:first", "demo:second")
    return tree


def test_a_step_gets_its_program_its_inputs_and_nothing_else(tree: Tree) -> None:
    record = tree.record("first")
    assert record["files"] == [
        "in/conf.toml",
        "in/fragments/a",
        "in/fragments/deep/b",
        "packages/debs.json",
        "packages/tools.json",
        "src/tools/helper.py",
        "src/tools/part.py",
        "src/tools/program.py",
        "src/tools/sandbox/step.py",
    ]
    assert record["spec"] == {
        "name": "demo:first",
        "program": "tools.program",
        "packages": {"tools": "packages/tools.json", "debs": ["packages/debs.json"]},
        "inputs": {"conf.toml": "in/conf.toml", "fragments": "in/fragments"},
        "params": {"list": [1, {"x": None}]},
        "epoch": 17,
        "out": "out",
    }


def test_dependencies_and_payload_are_inputs_by_name(tree: Tree) -> None:
    record = tree.record("second")
    assert record["spec"]["inputs"] == {
        "brand": "in/brand",
        "first": "in/first",
        "logo": "in/logo/logo.svg",
        "python": "in/python",
    }
    assert [path for path in record["files"] if path.startswith("in/")] == [
        "in/brand/brand.toml",
        "in/first/record.json",
        "in/logo/logo.svg",
        "in/python/service/lib.py",
        "in/python/service/main.py",
    ]


def test_nothing_in_a_step_names_the_host(tree: Tree) -> None:
    text = json.dumps({**tree.record("first"), "made": ""})
    assert str(tree.root) not in text
    assert str(Path.home()) not in text


def test_only_what_a_step_can_reach_runs_it_again(tree: Tree) -> None:
    first, second = tree.record("first"), tree.record("second")
    packages = [*LOCK["packages"], {"name": "y", "sha256": "0d", "sets": ["other"]}]  # type: ignore[misc]
    tree.write("demo/lock.json", json.dumps({**LOCK, "packages": packages}))
    tree.write("demo/README", "not an input")
    tree.write("service/lib.py", "CHANGED = True")
    tree.pants("package", "demo:first", "demo:second")
    assert tree.record("first")["made"] == first["made"]
    assert tree.record("second")["made"] != second["made"]


def test_a_failing_step_says_why_in_its_own_words(tree: Tree) -> None:
    done = tree.pants("package", "demo:bad", check=False)
    said = done.text + done.stderr.decode()
    assert done.returncode == 1
    assert "error: the disk is full\nhint: make room\n" in said
    assert "Traceback" not in said
