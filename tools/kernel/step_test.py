from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.kernel import source, step
from tools.kernel.errors import KernelError


def test_progress_is_told_once_per_percent() -> None:
    said: list[str] = []
    counter = step.Counter(200, said.append)
    for _ in range(400):
        counter("  CC      kernel/fork.o")
        counter("make[1]: Entering directory")
    assert counter.done == 400
    assert said == [f"compile {percent} %" for percent in range(100)]


def test_kernel_json_is_a_function_of_the_image(tmp_path: Path) -> None:
    image = tmp_path / "bzImage"
    image.write_bytes(b"kernel")
    about = json.loads(step.describe("6.12.1-x", image, "CONFIG_A=y\n# CONFIG_B is not set\n"))
    assert about["version"] == "6.12.1-x"
    assert (about["size"], about["options"], about["symbols"]) == (6, 1, {"A": "y"})
    assert about["sha256"].startswith("6923dd1bc046")


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        ("  CC a.o\na.c:3: error: no semicolon\nmake: *** [a.o] Error 1\n", "a.c:3: error"),
        ("make: *** No rule to make target\n", "make: ***"),
        ("something\nelse\n", "something"),
        ("", "make said nothing"),
    ],
    ids=["compiler", "make", "other", "silence"],
)
def test_the_cause_of_a_failure_is_shown(tail: str, says: str) -> None:
    assert source.complaint(tail).startswith(says)


def test_a_lock_without_a_kernel_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match="0 linux-source packages"):
        source.prepare({"gcc": tmp_path / "gcc.deb"}, tmp_path, 0, 1)
