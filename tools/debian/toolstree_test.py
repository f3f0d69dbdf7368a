from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tools.debian import fakes, manifest, toolstree, unpack
from tools.debian import store as stores
from tools.debian.errors import DebError, PackageError, TreeError
from tools.debian.fakes import Member, symlink
from tools.debian.lock import LockedPackage

CONTENTS = {
    "base-files": [symlink("./bin", "usr/bin"), symlink("./lib", "usr/lib")],
    "mawk": [Member("./usr/bin/mawk", b"mawk", mode=0o755)],
    "gcc": [Member("./usr/bin/gcc", b"gcc" * 1000, mode=0o755), Member("./usr/share/man/x", b"x")],
    "lib": [Member("./lib/x86_64-linux-gnu/libx.so", b"x"), symlink("./usr/lib/l", "libx.so")],
}


def _fill(store: Path, contents: dict[str, list[Member]] = CONTENTS) -> tuple[LockedPackage, ...]:
    packages = []
    for name, members in contents.items():
        package, content = fakes.package(name, members)
        path = stores.blob_path(store, package.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        packages.append(package)
    return tuple(packages)


def _manifest(tree: Path) -> str:
    return tree.with_suffix(".manifest").read_text()


def test_lays_out_packages_and_what_scripts_would_have_made(tmp_path: Path) -> None:
    tree = toolstree.materialise(_fill(tmp_path), tmp_path)
    assert (tree / "bin/mawk").read_bytes() == b"mawk"
    assert (tree / "usr/bin/awk").readlink() == Path("mawk")
    assert (tree / "usr/bin/cc").readlink() == Path("gcc")
    assert (tree / "usr/lib/x86_64-linux-gnu/libx.so").is_file()
    assert (tree / "etc/passwd").read_text().startswith("root:x:0:0:")
    assert not (tree / "usr/bin/which").is_symlink()
    assert not (tree / "usr/share/man").exists()
    assert {"proc", "dev", "tmp", "in", "out", "src"} <= {path.name for path in tree.iterdir()}


def test_everything_is_read_only(tmp_path: Path) -> None:
    tree = toolstree.materialise(_fill(tmp_path), tmp_path)
    modes = {os.lstat(path).st_mode & 0o222 for path in tree.rglob("*") if not path.is_symlink()}
    assert modes == {0}


def test_the_manifest_is_what_is_on_disk(tmp_path: Path) -> None:
    tree = toolstree.materialise(_fill(tmp_path), tmp_path)
    assert manifest.dump(manifest.scan(tree)) == _manifest(tree)
    mark = json.loads(tree.with_suffix(".ok").read_text())
    assert mark["manifest"] == manifest.digest(_manifest(tree))
    toolstree.verify(tree)


def test_equal_packages_make_equal_trees_whatever_the_umask_and_order(tmp_path: Path) -> None:
    first = toolstree.materialise(_fill(tmp_path / "a"), tmp_path / "a")
    before = os.umask(0o077)
    try:
        second = toolstree.materialise(_fill(tmp_path / "b")[::-1], tmp_path / "b")
    finally:
        os.umask(before)
    assert first.name == second.name
    assert _manifest(first) == _manifest(second)


def test_other_packages_make_another_tree(tmp_path: Path) -> None:
    packages = _fill(tmp_path)
    assert toolstree.tree_digest(packages) != toolstree.tree_digest(packages[1:])
    assert toolstree.tree_digest(packages) == toolstree.tree_digest(packages[::-1])


def test_a_tree_is_made_once(tmp_path: Path) -> None:
    packages = _fill(tmp_path)
    tree = toolstree.materialise(packages, tmp_path)
    for package in packages:
        stores.blob_path(tmp_path, package.sha256).unlink()
    seen: list[int] = []
    assert toolstree.materialise(packages, tmp_path, note=lambda n, _: seen.append(n)) == tree
    assert seen == []


def test_several_processes_at_once_make_one_tree(tmp_path: Path) -> None:
    packages = _fill(tmp_path)
    context = multiprocessing.get_context("spawn")
    with context.Pool(3) as pool:
        trees = pool.starmap(toolstree.materialise, [(packages, tmp_path)] * 6)
    assert len(set(trees)) == 1
    toolstree.verify(trees[0])
    assert not list((tmp_path / "tools").glob(".unverified-*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError], ids=["Ctrl-C", "failure"])
def test_an_interrupt_leaves_nothing_half_used(error: type[BaseException], tmp_path: Path) -> None:
    packages = _fill(tmp_path)

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise error

    with pytest.raises(error):
        toolstree.materialise(packages, tmp_path, note=stop)
    assert [path.suffix for path in (tmp_path / "tools").iterdir()] == [".lock"]
    toolstree.verify(toolstree.materialise(packages, tmp_path))


def test_what_a_killed_process_left_is_thrown_away(tmp_path: Path) -> None:
    packages = _fill(tmp_path)
    tree = toolstree.tree_path(packages, tmp_path)
    for left in (tree, tree.parent / f".unverified-{tree.name}"):
        (left / "usr").mkdir(parents=True)
        (left / "usr" / "half").write_text("x")
        (left / "usr").chmod(0o555)
    assert toolstree.materialise(packages, tmp_path) == tree
    assert not (tree / "usr/half").exists()
    toolstree.verify(tree)


def _change(tree: Path) -> None:
    (tree / "usr/bin/mawk").chmod(0o755)
    (tree / "usr/bin/mawk").write_bytes(b"evil")
    (tree / "usr/bin/mawk").chmod(0o555)


def _remove(tree: Path) -> None:
    (tree / "usr/bin").chmod(0o755)
    (tree / "usr/bin/mawk").unlink()
    (tree / "usr/bin").chmod(0o555)


def _add(tree: Path) -> None:
    (tree / "usr/bin").chmod(0o755)
    (tree / "usr/bin/new").symlink_to("mawk")
    (tree / "usr/bin").chmod(0o555)


CHANGES = pytest.mark.parametrize(
    ("change", "message"),
    [
        (_change, "usr/bin/mawk changed: expected f 0555 4"),
        (_remove, "usr/bin/mawk is gone"),
        (_add, "usr/bin/new was added"),
        (lambda tree: tree.with_suffix(".manifest").unlink(), "has no manifest"),
    ],
    ids=["changed", "removed", "added", "no manifest"],
)


@CHANGES
def test_verify_names_what_differs(
    change: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    tree = toolstree.materialise(_fill(tmp_path), tmp_path)
    change(tree)
    with pytest.raises(TreeError, match=message) as caught:
        toolstree.verify(tree)
    assert f"rm {tree}.ok" in caught.value.hint


@CHANGES
def test_after_a_reboot_a_damaged_tree_is_made_anew(
    change: Callable[[Path], None],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    packages = _fill(tmp_path)
    tree = toolstree.materialise(packages, tmp_path)
    change(tree)
    monkeypatch.setattr(toolstree, "_boot_id", lambda: "another boot")
    toolstree.verify(toolstree.materialise(packages, tmp_path))


def test_after_a_reboot_a_whole_tree_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = _fill(tmp_path)
    tree = toolstree.materialise(packages, tmp_path)
    before = tree.stat().st_ino
    monkeypatch.setattr(toolstree, "_boot_id", lambda: "another boot")
    assert toolstree.materialise(packages, tmp_path).stat().st_ino == before
    assert json.loads(tree.with_suffix(".ok").read_text())["boot"] == "another boot"


def _flip(store: Path, package: LockedPackage) -> None:
    stores.blob_path(store, package.sha256).write_bytes(bytes(package.size))


def test_a_package_that_changed_in_the_store_is_fetched_anew(tmp_path: Path) -> None:
    packages, store = _fill(tmp_path / "mirror"), tmp_path / "store"
    env = {"STRAKE_MIRROR": str(tmp_path / "mirror" / "store")}
    _fill(store)
    _flip(store, packages[0])
    toolstree.verify(toolstree.materialise(packages, store, env=env))


def test_a_package_that_changed_everywhere_is_one_line(tmp_path: Path) -> None:
    packages, store = _fill(tmp_path / "mirror"), tmp_path / "store"
    env = {"STRAKE_MIRROR": str(tmp_path / "mirror" / "store")}
    _flip(tmp_path / "mirror", packages[0])
    with pytest.raises(PackageError, match="package base-files 1: expected sha256 .*, found"):
        toolstree.materialise(packages, store, env=env)
    assert not toolstree.tree_path(packages, store).exists()


def test_a_package_that_changes_while_the_tree_is_made_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = _fill(tmp_path)
    _flip(tmp_path, packages[0])
    monkeypatch.setattr(stores, "holds", lambda path, package: True)
    with pytest.raises(PackageError, match="package base-files 1: expected sha256 .*, found"):
        toolstree.materialise(packages, tmp_path)
    assert not toolstree.tree_path(packages, tmp_path).exists()


def test_packages_that_contradict_each_other_make_no_tree(tmp_path: Path) -> None:
    packages = _fill(tmp_path, {**CONTENTS, "other": [Member("./usr/bin/mawk", b"other")]})
    with pytest.raises(DebError, match="hold different things at usr/bin/mawk"):
        toolstree.materialise(packages, tmp_path)


def test_remove_forgets_a_tree(tmp_path: Path) -> None:
    packages = _fill(tmp_path)
    tree = toolstree.materialise(packages, tmp_path)
    toolstree.remove(tree)
    assert not tree.exists()
    toolstree.verify(toolstree.materialise(packages, tmp_path))


def test_odd_names_cannot_forge_a_line() -> None:
    entry = manifest.Entry("a b\nf 0644 0 - c", "f", 0o644, 0, "h")
    assert entry.line() == r"f 0644 0 h a\x20b\x0af\x200644\x200\x20-\x20c"


def test_sizes_are_compared_before_a_tree_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lossy(entries: list[manifest.Entry]) -> list[manifest.Entry]:
        return [replace(entry, size=entry.size + 1) for entry in entries]

    original = unpack.Unpacker.entries
    monkeypatch.setattr(unpack.Unpacker, "entries", lambda self: lossy(original(self)))
    with pytest.raises(TreeError, match="is not what was unpacked"):
        toolstree.materialise(_fill(tmp_path), tmp_path)
