"""Tests of `tools.elf.check` and the trees it walks."""

from __future__ import annotations

import io
import json
import struct
import tarfile
from pathlib import Path

import pytest

from tools.elf.capability import capability_text
from tools.elf.check import Report, check
from tools.elf.errors import ElfError, PolicyError, TreeError
from tools.elf.policy import Policy, parse_policy
from tools.elf.sample import Sample, build
from tools.elf.tree import Entry, Tree, file_entry, from_directory, from_tar, link_entry

LOADER = "/lib64/ld-linux-x86-64.so.2"
MULTIARCH = "/usr/lib/x86_64-linux-gnu"
NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)


def elf(sample: Sample, permissions: int = 0o755, package: str = "pkg") -> Entry:
    return file_entry(build(sample), permissions, package)


def base() -> dict[str, Entry]:
    """A merged-/usr tree with a C library and a loader."""
    return {
        "/lib": link_entry("usr/lib"),
        "/lib64": link_entry("usr/lib64"),
        "/bin": link_entry("usr/bin"),
        f"{MULTIARCH}/libc.so.6": elf(Sample(soname="libc.so.6"), 0o644, "libc6"),
        "/usr/lib64/ld-linux-x86-64.so.2": link_entry("../lib/x86_64-linux-gnu/ld.so.1"),
        f"{MULTIARCH}/ld.so.1": elf(Sample(soname="ld.so"), 0o755, "libc6"),
    }


def rules(report: Report) -> list[tuple[str, str]]:
    return [(violation.rule, violation.path) for violation in report.violations]


def test_a_sound_tree_has_no_violations() -> None:
    tree = base() | {
        "/usr/bin/tool": elf(Sample(interpreter=LOADER, needed=("libc.so.6",))),
        "/usr/bin/script": file_entry(b"#!/bin/sh\n"),
        "/usr/lib/bpf/x.o": elf(Sample(kind="rel", needed=("nothing.so",))),
    }
    assert check(Tree(tree), Policy()).violations == ()


@pytest.mark.parametrize(
    ("sample", "extra"),
    [
        pytest.param(Sample(needed=("libx.so",), runpath="/opt/lib"), "/opt/lib", id="runpath"),
        pytest.param(Sample(needed=("libx.so",), rpath="/opt/lib"), "/opt/lib", id="rpath"),
        pytest.param(
            Sample(needed=("libx.so",), runpath="$ORIGIN/../libexec"), "/usr/libexec", id="origin"
        ),
        pytest.param(
            Sample(needed=("libx.so",), runpath="${ORIGIN}/priv"), "/usr/bin/priv", id="braces"
        ),
        pytest.param(
            Sample(needed=("libx.so",), runpath="/p/$LIB"), "/p/lib/x86_64-linux-gnu", id="lib"
        ),
        pytest.param(Sample(needed=("libx.so",)), "/usr/lib", id="default"),
        pytest.param(Sample(needed=("/opt/libx.so",)), "/opt", id="path"),
    ],
)
def test_library_search(sample: Sample, extra: str) -> None:
    tree = base() | {"/usr/bin/tool": elf(sample)}
    library = elf(Sample(soname="libx.so"))
    assert rules(check(Tree(tree), Policy())) == [("needed", "/usr/bin/tool")]
    assert check(Tree(tree | {f"{extra}/libx.so": library}), Policy()).violations == ()


def test_runpath_hides_rpath() -> None:
    tree = base() | {
        "/usr/bin/tool": elf(Sample(needed=("libx.so",), rpath="/a", runpath="/b")),
        "/a/libx.so": elf(Sample()),
    }
    (violation,) = check(Tree(tree), Policy()).violations
    assert violation.line() == (
        "/usr/bin/tool (pkg): needs libx.so, which is not in /b, /lib/x86_64-linux-gnu, "
        f"{MULTIARCH}, /lib, /usr/lib; add the package that has it, or drop this file in "
        "packages.toml"
    )


@pytest.mark.parametrize(
    "library",
    [
        pytest.param(elf(Sample(bits=32, machine=3)), id="other-machine"),
        pytest.param(file_entry(b"INPUT(libreal.so)"), id="linker-script"),
        pytest.param(link_entry("libx.so"), id="loop"),
        pytest.param(link_entry("gone.so"), id="dangling"),
    ],
)
def test_a_file_of_that_name_is_not_enough(library: Entry) -> None:
    tree = base() | {
        "/usr/bin/tool": elf(Sample(needed=("libx.so",))),
        "/usr/lib/libx.so": library,
    }
    assert ("needed", "/usr/bin/tool") in rules(check(Tree(tree), Policy()))


@pytest.mark.parametrize(
    ("name", "entry", "policy", "rule"),
    [
        pytest.param(
            "/usr/bin/x",
            elf(Sample(interpreter="/lib/ld-musl.so")),
            Policy(),
            "interpreter",
            id="ld",
        ),
        pytest.param("/usr/bin/x", elf(Sample(textrel=True)), Policy(), "textrel", id="textrel"),
        pytest.param(
            "/usr/bin/x", file_entry(b"\x7fELF\x02\x01"), Policy(), "corrupt", id="corrupt"
        ),
        pytest.param("/usr/bin/x", file_entry(b"", 0o4755), Policy(), "setid", id="setuid"),
        pytest.param("/usr/bin/x", file_entry(b"", 0o2755), Policy(), "setid", id="setgid"),
        pytest.param(
            "/usr/bin/x",
            file_entry(b"", 0o6755),
            Policy(setid={"/usr/bin/x": 0o4755}),
            "setid",
            id="more-than-allowed",
        ),
        pytest.param(
            "/usr/bin/x",
            Entry(0o100755, lambda: io.BytesIO(), capability=NET_RAW),
            Policy(),
            "capability",
            id="capability",
        ),
    ],
)
def test_violations(name: str, entry: Entry, policy: Policy, rule: str) -> None:
    assert rules(check(Tree(base() | {name: entry}), policy)) == [(rule, name)]


def test_policy_allows_what_it_lists_and_lists_nothing_stale() -> None:
    policy = Policy(
        setid={"/usr/bin/sudo": 0o4755},
        capability={"/usr/bin/ping": "cap_net_raw=ep"},
        textrel=frozenset({"/usr/bin/old"}),
    )
    tree = base() | {
        "/usr/bin/sudo": file_entry(b"", 0o4755),
        "/usr/bin/ping": Entry(0o100755, lambda: io.BytesIO(), capability=NET_RAW),
        "/usr/bin/old": elf(Sample(textrel=True)),
    }
    assert check(Tree(tree), policy).violations == ()
    assert rules(check(Tree(base()), policy)) == [
        ("stale", "/usr/bin/old"),
        ("stale", "/usr/bin/ping"),
        ("stale", "/usr/bin/sudo"),
    ]


def test_a_private_library_may_rely_on_what_all_its_programs_load() -> None:
    program = Sample(needed=("libcore.so", "libshared.so"), runpath="/usr/lib/private")
    tree = base() | {
        "/usr/bin/one": elf(program),
        "/usr/lib/private/libshared.so": elf(Sample(soname="libshared.so")),
        "/usr/lib/private/libcore.so": elf(Sample(soname="libcore.so", needed=("libshared.so",))),
    }
    assert check(Tree(tree), Policy()).violations == ()
    tree["/usr/bin/two"] = elf(Sample(needed=("libcore.so",), runpath="/usr/lib/private"))
    assert rules(check(Tree(tree), Policy())) == [("needed", "/usr/lib/private/libcore.so")]


def test_report_is_json_and_says_what_is_there() -> None:
    tree = base() | {"/usr/bin/su": file_entry(b"", 0o4755)}
    document = json.loads(json.dumps(check(Tree(tree), Policy()).as_json()))
    assert document["summary"]["files"] == 2
    assert document["summary"]["relro"] == {"none": 0, "partial": 2, "full": 0}
    assert document["setid"] == {"/usr/bin/su": "4755"}
    assert document["violations"][0]["rule"] == "setid"
    assert document["files"][f"{MULTIARCH}/libc.so.6"]["package"] == "libc6"


def test_directory_and_tar_give_the_same_report(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/tool").write_bytes(build(Sample(needed=("libz.so",))))
    (root / "bin").symlink_to("usr/bin")
    (root / "usr/bin/suid").write_bytes(b"")
    (root / "usr/bin/suid").chmod(0o4755)
    (root / "usr/bin/hard").hardlink_to(root / "usr/bin/tool")
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(root, ".")
    expected = [
        ("needed", "/usr/bin/hard"),
        ("setid", "/usr/bin/suid"),
        ("needed", "/usr/bin/tool"),
    ]
    assert rules(check(from_directory(root), Policy())) == expected
    with tarfile.open(tmp_path / "root.tar") as archive:
        assert rules(check(from_tar(archive), Policy())) == expected


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(TreeError, match="no directory"):
        from_directory(tmp_path / "absent")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param(NET_RAW, "cap_net_raw=ep", id="v2"),
        pytest.param(
            struct.pack("<IIIIII", 0x03000000, 3, 0, 1, 0, 0),
            "cap_chown,cap_dac_override,cap_mac_override=p",
            id="v3",
        ),
        pytest.param(struct.pack("<III", 0x01000000, 0, 1), "cap_chown=i", id="v1"),
        pytest.param(
            struct.pack("<IIIII", 0x02000000, 0, 0, 1 << 8, 0), "cap_checkpoint_restore=p"
        ),
    ],
)
def test_capability_text(raw: bytes, text: str) -> None:
    assert capability_text(raw) == text


@pytest.mark.parametrize("raw", [b"", b"\0\0\0\0", NET_RAW[:-1]], ids=["empty", "magic", "cut"])
def test_capability_text_of_garbage(raw: bytes) -> None:
    with pytest.raises(ElfError):
        capability_text(raw)


GOOD = '[[setid]]\npath = "/a"\nmode = "4755"\nreason = "r"\n'


def test_parse_policy() -> None:
    text = GOOD + '[[drop]]\npath = "/b"\nreason = "r"\n'
    assert parse_policy(text, "f") == Policy(setid={"/a": 0o4755}, drop=frozenset({"/b"}))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("[[", "f: ", id="not-toml"),
        pytest.param("[[other]]\n", "unknown table other", id="table"),
        pytest.param("setid = 1\n", "must be written as", id="shape"),
        pytest.param('[[drop]]\npath = "/b"\n', "has exactly: path, reason", id="no-reason"),
        pytest.param('[[drop]]\npath = "/b"\nreason = ""\n', "non-empty string", id="empty"),
        pytest.param('[[drop]]\npath = "b"\nreason = "r"\n', "must be absolute", id="relative"),
        pytest.param(GOOD + GOOD, "/a is given twice", id="twice"),
        pytest.param(GOOD.replace("4755", "0755"), "sets no id bit", id="mode"),
    ],
)
def test_parse_policy_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(PolicyError, match=says):
        parse_policy(text, "f")
