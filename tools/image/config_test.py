from __future__ import annotations

import pytest

from tools.image import cmdline, config, layout
from tools.image.errors import DataError

SLOT = {
    "data_blocks": 10,
    "hash_start": 11,
    "root_hash": "ab" * 32,
    "salt": "cd" * 32,
    "partition_uuid": "uuid",
}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[", "t:", id="no TOML"),
        pytest.param("[[nonsense]]", "unknown table nonsense", id="unknown table"),
        pytest.param('[[copy]]\npath="/a"\nfrom="/b"', "exactly: from, path, reason", id="reason"),
        pytest.param('[remove]\npattern="x"', r"as \[\[remove\]\]", id="no list"),
        pytest.param('[[directory]]\npath="a"\nreason="r"', "must be absolute", id="relative"),
        pytest.param('[[directory]]\npath="/a"\nreason=""', "not empty", id="empty reason"),
        pytest.param('[[mode]]\npath="/a"\nmode="9"\nowner="a:b"\nreason="r"', "octal", id="mode"),
        pytest.param('[[mode]]\npath="/a"\nmode="7"\nowner="a"\nreason="r"', "octal", id="owner"),
        pytest.param("[ids]\na = 0", "not a usable number", id="number"),
        pytest.param('[ids]\na = "1"', "to numbers", id="no number"),
    ],
)
def test_tree_rules_that_are_wrong(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        config.parse(text, "t")


def test_package_rules() -> None:
    text = """
[[drop]]
paths = ["a/*", "b"]
reason = "r"
[[conflict]]
path = "/usr/x"
package = "p"
reason = "r"
"""
    rules = config.parse_package_rules(text, "t")
    assert (rules.drop, rules.conflicts) == (("a/*", "b"), {"usr/x": "p"})
    with pytest.raises(DataError, match="paths and a reason"):
        config.parse_package_rules('[[drop]]\npaths = ["a"]', "t")


def test_arguments_are_filled_in() -> None:
    line = cmdline.fill(("a={partition}", "b={sectors},{block}", "{version}"), SLOT, "1.0.2")
    assert line == "a=PARTUUID=uuid b=80,4096 1.0.2"


@pytest.mark.parametrize(
    "argument",
    [
        pytest.param("{unknown}", id="unknown name"),
        pytest.param("{", id="open brace"),
        pytest.param("x" * 2048, id="too long"),
        pytest.param("{{x}}", id="braces left over"),
        pytest.param("a\nb", id="two lines"),
    ],
)
def test_arguments_that_are_wrong(argument: str) -> None:
    with pytest.raises(DataError):
        cmdline.fill((argument,), SLOT, "1")


def partition(**values: object) -> str:
    row = {
        "label": "ESP",
        "type": "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
        "size_mib": 5,
        "content": "esp",
        "reason": "r",
        **values,
    }
    return "[[partition]]\n" + "".join(
        f"{key} = {value!r}\n" for key, value in row.items() if value is not None
    )


HEAD = 'seed = "s"\nslot_budget_mb = 1\n'
ROOT = partition(label="ROOT-A", content="root")


def test_a_layout() -> None:
    plan = layout.parse(HEAD + partition() + ROOT, "t")
    assert [(p.label, p.bytes) for p in plan.partitions] == [("ESP", 5 << 20), ("ROOT-A", 5 << 20)]
    assert plan.slot_budget == 10**6


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(HEAD + ROOT, id="no ESP"),
        pytest.param(HEAD + partition(), id="no root"),
        pytest.param(HEAD + partition() + ROOT + ROOT, id="a label twice"),
        pytest.param(HEAD + partition(size_mib=0) + ROOT, id="no size"),
        pytest.param(HEAD + partition(content="ntfs") + ROOT, id="unknown content"),
        pytest.param(HEAD + partition(type="x") + ROOT, id="bad type"),
        pytest.param(HEAD + partition(label="x" * 37) + ROOT, id="long label"),
        pytest.param(HEAD + partition(reason=None) + ROOT, id="no reason"),
        pytest.param(partition() + ROOT, id="no seed"),
    ],
)
def test_layouts_that_are_wrong(text: str) -> None:
    with pytest.raises(DataError):
        layout.parse(text, "t")
