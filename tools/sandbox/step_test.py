"""A step from description to output, with the host's files as its tools tree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tools.debian import toolstree
from tools.debian.store import blob_path
from tools.proc import ProgramFailed
from tools.sandbox import step
from tools.sandbox.step import StepError, StepSpec, run_step

PROGRAM = """
import os, sys
from tools.errors import StrakeError
from tools.sandbox import guest

def build(step):
    if step.params.get("fail"):
        raise StrakeError("no symbol X", "remove it from f:3")
    if step.params.get("crash"):
        os.kill(os.getpid(), 9)
    guest.progress("50 %")
    text = step.inputs["text"].read_text() + step.debs["hello"].read_text()
    (step.out / "result").write_text(f"{text} {step.epoch} {os.environ['SOURCE_DATE_EPOCH']}")
    (step.build / "locked").mkdir()
    os.chmod(step.build / "locked", 0)

guest.main(build)
"""


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a program, an input and a store that holds one package."""
    sources = tmp_path / "src"
    repo = Path(step.__file__).resolve().parents[2]
    sources.mkdir()
    (sources / "tools").symlink_to("/in/repo/tools")
    (sources / "program.py").write_text(PROGRAM)
    (tmp_path / "text").write_text("input")
    (tmp_path / "tools.json").write_text("[]")
    body = b" package"
    digest = hashlib.sha256(body).hexdigest()
    blob = blob_path(tmp_path / "store", digest)
    blob.parent.mkdir(parents=True)
    blob.write_bytes(body)
    package = {
        "name": "hello",
        "version": "1",
        "arch": "amd64",
        "suite": "trixie",
        "pool": "debian/pool/main/h/hello_1_amd64.deb",
        "sha256": digest,
        "size": len(body),
        "sets": ["image"],
    }
    (tmp_path / "debs.json").write_text(json.dumps([package]))
    (tmp_path / "repo").symlink_to(repo)
    monkeypatch.setattr(step, "_SOURCES", sources)
    monkeypatch.setattr(toolstree, "materialise", lambda *_: Path("/"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spec(**changes: Any) -> StepSpec:
    raw = {
        "name": "a:step",
        "program": "program",
        "packages": {"tools": "tools.json", "debs": ["debs.json", "debs.json"]},
        "inputs": {"text": "text", "repo": "repo"},
        "params": {},
        "epoch": 42,
        "out": "out",
    }
    return StepSpec.parse(json.dumps({**raw, **changes}))


def test_outputs_progress_and_no_scratch_left(workspace: Path) -> None:
    said: list[str] = []
    run_step(spec(), workspace / "store", said.append)
    assert (workspace / "out/result").read_text() == "input package 42 42"
    assert "50 %" in said and said[-1].startswith("done in ")
    assert list((workspace / "store/work").iterdir()) == []


@pytest.mark.parametrize(
    ("params", "message", "hint"),
    [
        pytest.param({"fail": 1}, "a:step: no symbol X", "remove it from f:3", id="explained"),
        pytest.param({"crash": 1}, "a:step: python3 failed with status 137", "", id="killed"),
    ],
)
def test_failure_is_the_programs_own_line(
    workspace: Path, params: dict[str, int], message: str, hint: str
) -> None:
    with pytest.raises(StepError) as caught:
        run_step(spec(params=params), workspace / "store", lambda _: None)
    assert caught.value.message.startswith(message)
    assert caught.value.hint == hint
    assert isinstance(caught.value.__cause__, ProgramFailed)
    assert list((workspace / "store/work").iterdir()) == []


def test_the_command_line_prints_two_lines_and_fails(
    workspace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = {
        "name": "a:step",
        "program": "program",
        "packages": {"tools": "tools.json", "debs": ["debs.json"]},
        "inputs": {"text": "text", "repo": "repo"},
        "params": {"fail": 1},
        "epoch": 42,
        "out": "out",
    }
    (workspace / "spec.json").write_text(json.dumps(raw))
    assert step.main(["--store", "store", "--spec", "spec.json"]) == 1
    assert "error: a:step: no symbol X\nhint: remove it" in capsys.readouterr().err
    assert "no symbol X" in (workspace / "store/log/a-step.log").read_text()


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"name": 1}', json.dumps({"name": "x", "program": "y", "packages": []})],
    ids=["empty", "list", "no-fields", "some-fields", "wrong-type"],
)
def test_an_unusable_description_is_one_error(text: str) -> None:
    with pytest.raises(StepError, match="description of a step"):
        StepSpec.parse(text)
