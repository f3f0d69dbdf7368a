"""Tests of `tools.rootfs.lint`, and of this tree by it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.elf.policy import parse_policy
from tools.image import config
from tools.proc import run
from tools.rootfs import lint
from tools.rootfs.lint import PRESETS, SYSCTL, SYSUSERS, TMPFILES, UNITS, File

ROOTFS = Path("os/rootfs")
OVERLAY = ROOTFS / "overlay"

SERVICE = "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/lib/strake/run\n"
SOUND = {
    "usr/lib/strake/run": File("#!/bin/sh\n", True),
    UNITS + "strake-x.service": File(SERVICE + "[Install]\nWantedBy=a.target\n", False),
    PRESETS + "10.preset": File("# all\nenable strake-x.service\ndisable *\n", False),
    SYSUSERS + "x.conf": File('g g 5\nu u 6:5 "U" /\nm u g\n', False),
    TMPFILES + "x.conf": File("d /a 0755 u g -\nf^ /b - - - - login.motd\n", False),
    SYSCTL + "x.conf": File("kernel.panic = 5\n", False),
}


def test_this_tree() -> None:
    assert lint.lint(lint.load(OVERLAY)) == []


def test_a_sound_overlay() -> None:
    assert lint.lint(SOUND) == []


@pytest.mark.parametrize(
    ("path", "text", "says"),
    [
        pytest.param("usr/bin/x", "#!/bin/sh\n", "disagree on whether", id="not-executable"),
        pytest.param(UNITS + "x.foo", "[Unit]\n", "unknown type", id="type"),
        pytest.param(UNITS + "x.target", "[Unit]\nA=b\n", "has a description", id="description"),
        pytest.param(UNITS + "x.timer", SERVICE, "[Service] does not belong", id="section"),
        pytest.param(UNITS + "x.service", SERVICE + "Restart\n", "no assignment", id="assignment"),
        pytest.param(
            UNITS + "x.service", SERVICE.replace("/run", "/go"), "/go, which is no", id="program"
        ),
        pytest.param(
            UNITS + "x.service.d/y.conf", "[Unit]\nAfter=strake-q.service\n", "no such", id="name"
        ),
        pytest.param(PRESETS + "2.preset", "enable strake-q.timer\n", "no such unit", id="preset"),
        pytest.param(PRESETS + "2.preset", "start x\n", "neither enable nor", id="preset-verb"),
        pytest.param(
            UNITS + "x.service", SERVICE + "[Install]\nWantedBy=a\n", "no preset", id="undecided"
        ),
        pytest.param(SYSUSERS + "y.conf", "u v -\n", "no fixed number", id="number"),
        pytest.param(SYSUSERS + "y.conf", "g h 5\n", "is of g and h", id="number-twice"),
        pytest.param(SYSUSERS + "y.conf", "m w g\n", "no user", id="member"),
        pytest.param(TMPFILES + "y.conf", "dir /a\n", "no line of tmpfiles.d", id="tmpfiles"),
        pytest.param(TMPFILES + "y.conf", "d /a 0755 nn g\n", "group nn", id="tmpfiles-user"),
        pytest.param(TMPFILES + "y.conf", "f^ /a - - - - k\n", "imports the", id="credential"),
        pytest.param(SYSCTL + "y.conf", "kernel.panic = 6\n", "set twice", id="sysctl-twice"),
        pytest.param(SYSCTL + "y.conf", "kernel.panic\n", "no setting", id="sysctl"),
    ],
)
def test_problems_are_found(path: str, text: str, says: str) -> None:
    (problem,) = lint.lint(SOUND | {path: File(text, False)})
    assert problem.startswith(path)
    assert says in problem


SCRIPTS = [path for path, file in lint.load(OVERLAY).items() if file.text.startswith("#!/bin/sh")]


@pytest.mark.parametrize("path", SCRIPTS)
def test_scripts_are_shell(path: str) -> None:
    run(["sh", "-n", OVERLAY / path])


def test_tables_of_the_tree() -> None:
    config.parse((ROOTFS / "tree.toml").read_text(), "tree.toml")
    assert parse_policy((ROOTFS / "setuid.toml").read_text(), "setuid.toml").setid
