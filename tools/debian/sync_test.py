from __future__ import annotations

from pathlib import Path

import pytest

from tools.debian import fakes, fetch, mirrors, sync
from tools.debian import store as stores
from tools.debian.errors import PackageError
from tools.debian.lock import LockedPackage

FILES = {"bash": b"content of bash" * 100, "curl": b"content of curl"}
PACKAGES = tuple(fakes.locked(name, content) for name, content in FILES.items())


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BACKOFF_S", 0)


@pytest.fixture
def choice(tmp_path: Path) -> mirrors.Choice:
    for package in PACKAGES:
        path = tmp_path / "archive" / package.pool
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES[package.name])
    return mirrors.Choice((mirrors.parse_debian(str(tmp_path / "archive")),), "the test")


def _file(directory: Path, package: LockedPackage) -> Path:
    return directory / stores.content_path(package.sha256)


def test_copies_what_the_store_has_and_fetches_the_rest(
    tmp_path: Path, choice: mirrors.Choice
) -> None:
    store, directory = tmp_path / "store", tmp_path / "mirror"
    fetch.ensure(PACKAGES[:1], store, choice=choice)
    done = sync.sync(PACKAGES, directory, store, choice=choice)
    assert (done.total, done.kept, done.copied, done.fetched) == (2, 0, 1, 1)
    assert done.bytes == sum(map(len, FILES.values()))
    for package in PACKAGES:
        assert _file(directory, package).read_bytes() == FILES[package.name]


def test_may_be_run_again(tmp_path: Path, choice: mirrors.Choice) -> None:
    store, directory = tmp_path / "store", tmp_path / "mirror"
    sync.sync(PACKAGES, directory, store, choice=choice)
    done = sync.sync(PACKAGES, directory, store, choice=mirrors.Choice((), "nobody"))
    assert (done.kept, done.copied, done.fetched, done.mended) == (2, 0, 0, ())


@pytest.mark.parametrize("damage", [b"", b"x" * len(FILES["bash"])], ids=["truncated", "flipped"])
def test_replaces_what_is_damaged(damage: bytes, tmp_path: Path, choice: mirrors.Choice) -> None:
    store, directory = tmp_path / "store", tmp_path / "mirror"
    sync.sync(PACKAGES, directory, store, choice=choice)
    path = _file(directory, PACKAGES[0])
    path.chmod(0o644)
    path.write_bytes(damage)
    done = sync.sync(PACKAGES, directory, store, choice=choice)
    assert (done.kept, done.fetched, done.mended) == (1, 1, ("bash",))
    assert path.read_bytes() == FILES["bash"]


def test_does_not_copy_what_is_damaged_in_the_store(tmp_path: Path, choice: mirrors.Choice) -> None:
    store, directory = tmp_path / "store", tmp_path / "mirror"
    path = fetch.ensure(PACKAGES[:1], store, choice=choice)["bash"]
    path.chmod(0o644)
    path.write_bytes(b"x" * len(FILES["bash"]))
    assert sync.sync(PACKAGES, directory, store, choice=choice).fetched == 2
    assert _file(directory, PACKAGES[0]).read_bytes() == FILES["bash"]


def test_keeps_files_of_other_locks(tmp_path: Path, choice: mirrors.Choice) -> None:
    store, directory = tmp_path / "store", tmp_path / "mirror"
    sync.sync(PACKAGES, directory, store, choice=choice)
    sync.sync(PACKAGES[:1], directory, store, choice=choice)
    assert _file(directory, PACKAGES[1]).exists()


def test_a_build_needs_nothing_but_the_directory(tmp_path: Path, choice: mirrors.Choice) -> None:
    directory = tmp_path / "mirror"
    sync.sync(PACKAGES, directory, tmp_path / "store", choice=choice)
    env = {"STRAKE_MIRROR": str(directory)}
    found = fetch.ensure(PACKAGES, tmp_path / "another machine", env=env)
    assert found["bash"].read_bytes() == FILES["bash"]


def test_what_the_archive_dropped_is_named(tmp_path: Path, choice: mirrors.Choice) -> None:
    (tmp_path / "archive" / PACKAGES[1].pool).unlink()
    with pytest.raises(PackageError, match="package curl 1: the mirror no longer has it"):
        sync.sync(PACKAGES, tmp_path / "mirror", tmp_path / "store", choice=choice)
