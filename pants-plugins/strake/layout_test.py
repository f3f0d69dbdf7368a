from __future__ import annotations

import json

import pytest

from strake.layout import (
    LayoutError,
    PackageSet,
    failure,
    merged_inputs,
    missing_outputs,
    package_set,
    source_inputs,
    spec,
)

LOCK = json.dumps(
    {
        "epoch": 1750000000,
        "packages": [
            {"name": "make", "sha256": "aa", "sets": ["kbuild"]},
            {"name": "bash", "sha256": "bb", "sets": ["image", "kbuild"]},
            {"name": "vim", "sha256": "cc", "sets": ["image"]},
        ],
    }
)


def test_a_set_holds_its_own_packages_by_name() -> None:
    cut = package_set(LOCK, "kbuild")
    assert cut.epoch == 1750000000
    assert cut.path == "packages/kbuild.json"
    assert json.loads(cut.text) == [
        {"name": "bash", "sha256": "bb", "sets": ["kbuild"]},
        {"name": "make", "sha256": "aa", "sets": ["kbuild"]},
    ]


def test_a_set_does_not_change_with_another_one() -> None:
    lock = json.loads(LOCK)
    lock["packages"][2]["sha256"] = "dd"
    lock["packages"][1]["sets"].append("vm")
    assert package_set(json.dumps(lock), "kbuild") == package_set(LOCK, "kbuild")


@pytest.mark.parametrize(
    ("lock", "message"),
    [
        pytest.param("{", "not usable", id="not JSON"),
        pytest.param('{"packages": []}', "not usable", id="no epoch"),
        pytest.param(LOCK, "no set 'vm'", id="unknown set"),
    ],
)
def test_an_unusable_lock_is_one_line_with_the_way_out(lock: str, message: str) -> None:
    with pytest.raises(LayoutError, match=message) as caught:
        package_set(lock, "vm")
    assert "./strake lock" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("directory", "files", "names"),
    [
        pytest.param("os/k", ["os/k/a/1", "os/k/a/b/2"], ["a"], id="one directory"),
        pytest.param("os/k", ["os/k/x.toml", "os/k/a/1"], ["a", "x.toml"], id="file beside it"),
        pytest.param("", ["x"], ["x"], id="root of the repository"),
        pytest.param("os/k", [], [], id="none"),
    ],
)
def test_sources_are_named_by_the_first_part_of_their_path(
    directory: str, files: list[str], names: list[str]
) -> None:
    assert list(source_inputs(directory, files)) == names


def test_two_inputs_of_one_name_are_refused() -> None:
    assert merged_inputs([{"a": "a"}, {"b": "b/x"}], "os/k:k") == {"a": "a", "b": "b/x"}
    with pytest.raises(LayoutError, match="os/k:k has two inputs named 'a'"):
        merged_inputs([{"a": "a"}, {"a": "b"}], "os/k:k")


def test_spec_has_only_relative_paths_and_the_newest_date() -> None:
    text = spec(
        name="os/k:k",
        program="tools.k.step",
        tools=PackageSet("kbuild", "[]", 5),
        debs=[PackageSet("source", "[]", 7)],
        inputs={"conf": "conf", "one": "one/file"},
        params='{"n": [1, null]}',
    )
    assert json.loads(text) == {
        "name": "os/k:k",
        "program": "tools.k.step",
        "packages": {"tools": "packages/kbuild.json", "debs": ["packages/source.json"]},
        "inputs": {"conf": "in/conf", "one": "in/one/file"},
        "params": {"n": [1, None]},
        "epoch": 7,
        "out": "out",
    }


def test_missing_outputs_are_named() -> None:
    assert missing_outputs(["b", "a"], ["c", "a"]) == ("b",)


@pytest.mark.parametrize(
    ("stderr", "message"),
    [
        pytest.param("noise\nerror: no disk\nhint: make room\n", "error: no disk\nhint: make room"),
        pytest.param("Killed\n", "error: os/k:k ended with status 9\nhello\nKilled"),
    ],
    ids=["its own words", "the end of what it printed"],
)
def test_a_failed_step_speaks_for_itself(stderr: str, message: str) -> None:
    assert failure("os/k:k", "hello\n", stderr, 9) == message
