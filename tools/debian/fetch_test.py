from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from tools.debian import fakes, fetch, mirrors
from tools.debian import store as stores
from tools.debian.errors import MirrorError, PackageError, StoreError
from tools.debian.lock import LockedPackage

BASH = b"content of bash " * 70_000
CURL = b"content of curl"
PACKAGES = (fakes.locked("bash", BASH), fakes.locked("curl", CURL))


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BACKOFF_S", 0)


def _content_mirror(root: Path, files: dict[str, bytes]) -> mirrors.Choice:
    for package in PACKAGES:
        path = root / stores.content_path(package.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        if package.name in files:
            path.write_bytes(files[package.name])
    return mirrors.Choice((mirrors.ContentMirror(str(root)),), "the test")


def _served(files: dict[str, bytes]) -> dict[str, bytes]:
    return {f"/{package.pool}": files[package.name] for package in PACKAGES}


def _debian(url: str) -> mirrors.Choice:
    return mirrors.Choice((mirrors.parse_debian(url),), "the test")


def test_fetches_from_a_directory(tmp_path: Path) -> None:
    choice = _content_mirror(tmp_path / "mirror", {"bash": BASH, "curl": CURL})
    store = tmp_path / "store"
    found = fetch.ensure(PACKAGES, store, choice=choice)
    assert found["bash"] == stores.blob_path(store, PACKAGES[0].sha256)
    assert found["bash"].read_bytes() == BASH
    assert found["curl"].stat().st_mode & 0o777 == 0o444
    assert not list(store.rglob(".unverified-*"))


def test_asks_nobody_when_everything_is_there(tmp_path: Path) -> None:
    choice = _content_mirror(tmp_path / "mirror", {"bash": BASH, "curl": CURL})
    fetch.ensure(PACKAGES, tmp_path / "store", choice=choice)
    nobody = mirrors.Choice((), "nobody")
    assert fetch.ensure(PACKAGES, tmp_path / "store", choice=nobody).keys() == {"bash", "curl"}


def test_reports_progress(tmp_path: Path) -> None:
    choice = _content_mirror(tmp_path / "mirror", {"bash": BASH, "curl": CURL})
    seen: list[fetch.Progress] = []
    fetch.ensure(PACKAGES, tmp_path / "store", seen.append, choice=choice)
    last = seen[-1]
    assert (last.files_done, last.bytes_done) == (last.files, last.bytes)
    assert (last.files, last.bytes) == (2, len(BASH) + len(CURL))
    assert [item.bytes_done for item in seen] == sorted(item.bytes_done for item in seen)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (b"\0" + BASH[1:], r"expected sha256 [0-9a-f]{64}, found [0-9a-f]{64}"),
        (BASH[:-1], rf"expected {len(BASH)} bytes .*, found {len(BASH) - 1} with"),
        (BASH + b"x", rf"expected {len(BASH)} bytes .*, found more than {len(BASH) + 1} with"),
        (b"", rf"expected {len(BASH)} bytes .*, found 0 with"),
        (None, r"the mirror no longer has it, expected sha256 [0-9a-f]{64}, found nothing at"),
    ],
    ids=["flipped bit", "truncated", "longer", "empty", "missing"],
)
def test_a_bad_package_is_one_line(bad: bytes | None, message: str, tmp_path: Path) -> None:
    files = {"curl": CURL} if bad is None else {"curl": CURL, "bash": bad}
    choice = _content_mirror(tmp_path / "mirror", files)
    with pytest.raises(PackageError, match=rf"package bash 1: {message}") as caught:
        fetch.ensure(PACKAGES, tmp_path / "store", choice=choice)
    assert "\n" not in caught.value.message
    assert "./strake lock" in caught.value.hint
    assert not stores.blob_path(tmp_path / "store", PACKAGES[0].sha256).exists()


def test_a_bad_package_can_be_fetched_once_the_mirror_is_mended(tmp_path: Path) -> None:
    choice = _content_mirror(tmp_path / "mirror", {"curl": CURL, "bash": b"junk" + BASH[:-4]})
    with pytest.raises(PackageError):
        fetch.ensure(PACKAGES, tmp_path / "store", choice=choice)
    _content_mirror(tmp_path / "mirror", {"bash": BASH})
    assert fetch.ensure(PACKAGES, tmp_path / "store", choice=choice)["bash"].read_bytes() == BASH


def test_the_next_mirror_has_what_the_first_lacks(tmp_path: Path) -> None:
    first = _content_mirror(tmp_path / "first", {"bash": b"x" * len(BASH), "curl": CURL})
    second = _content_mirror(tmp_path / "second", {"bash": BASH})
    both = replace(first, mirrors=first.mirrors + second.mirrors)
    assert fetch.ensure(PACKAGES, tmp_path / "store", choice=both)["bash"].read_bytes() == BASH


def test_fetches_over_http(tmp_path: Path) -> None:
    behaviour = fakes.Behaviour(_served({"bash": BASH, "curl": CURL}))
    with fakes.http_server(behaviour) as url:
        found = fetch.ensure(PACKAGES, tmp_path, choice=_debian(url))
    assert found["bash"].read_bytes() == BASH


@pytest.mark.parametrize("ranges", [True, False], ids=["resumes", "starts over"])
def test_goes_on_after_a_broken_connection(ranges: bool, tmp_path: Path) -> None:
    behaviour = fakes.Behaviour(
        _served({"bash": BASH, "curl": CURL}), cut=600_000, cuts_left=1, ranges=ranges
    )
    with fakes.http_server(behaviour) as url:
        found = fetch.ensure(PACKAGES[:1], tmp_path, choice=_debian(url))
    assert found["bash"].read_bytes() == BASH
    assert behaviour.requests[1].endswith("bytes=600000-")


def test_goes_on_with_what_an_earlier_run_left(tmp_path: Path) -> None:
    target = stores.blob_path(tmp_path, PACKAGES[0].sha256)
    target.parent.mkdir(parents=True)
    (target.parent / f".unverified-{PACKAGES[0].sha256}").write_bytes(BASH[:1000])
    behaviour = fakes.Behaviour(_served({"bash": BASH, "curl": CURL}))
    with fakes.http_server(behaviour) as url:
        fetch.ensure(PACKAGES[:1], tmp_path, choice=_debian(url))
    assert behaviour.requests == [f"GET /{PACKAGES[0].pool} bytes=1000-"]
    assert target.read_bytes() == BASH


@pytest.mark.parametrize("left", [b"junk" * 100, BASH + b"more", b"x" * len(BASH)])
def test_what_an_earlier_run_left_may_be_junk(left: bytes, tmp_path: Path) -> None:
    target = stores.blob_path(tmp_path, PACKAGES[0].sha256)
    target.parent.mkdir(parents=True)
    (target.parent / f".unverified-{PACKAGES[0].sha256}").write_bytes(left)
    behaviour = fakes.Behaviour(_served({"bash": BASH, "curl": CURL}))
    with fakes.http_server(behaviour) as url:
        found = fetch.ensure(PACKAGES[:1], tmp_path, choice=_debian(url))
    assert found["bash"].read_bytes() == BASH


@pytest.mark.parametrize(
    ("status", "error", "message"),
    [
        (404, PackageError, "the mirror no longer has it"),
        (503, MirrorError, "package bash 1: .* answered 503"),
    ],
)
def test_a_mirror_that_answers_with_an_error(
    status: int, error: type[Exception], message: str, tmp_path: Path
) -> None:
    files = {} if status == 404 else _served({"bash": BASH, "curl": CURL})
    with (
        fakes.http_server(fakes.Behaviour(files, status=status)) as url,
        pytest.raises(error, match=message),
    ):
        fetch.ensure(PACKAGES[:1], tmp_path, choice=_debian(url))


def test_an_unreachable_mirror_names_the_variable_to_set(tmp_path: Path) -> None:
    with fakes.http_server(fakes.Behaviour({})) as url:
        pass
    with pytest.raises(MirrorError, match="cannot reach http://127") as caught:
        fetch.ensure(PACKAGES, tmp_path, choice=_debian(url))
    assert "\n" not in caught.value.message
    assert "STRAKE_DEBIAN_MIRROR" in caught.value.hint
    assert "STRAKE_MIRROR" in caught.value.hint


def test_a_full_disk_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    choice = _content_mirror(tmp_path / "mirror", {"bash": BASH, "curl": CURL})
    monkeypatch.setattr(stores, "_open_locked", _full_disk(stores._open_locked))
    with pytest.raises(StoreError, match="no space left on the disk that holds") as caught:
        fetch.ensure(PACKAGES, tmp_path / "store", choice=choice)
    assert "XDG_CACHE_HOME" in caught.value.hint
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]


def _full_disk(opener: Callable[[Path], IO[bytes]]) -> Callable[[Path], IO[bytes]]:
    class Full:
        def __init__(self, file: IO[bytes]) -> None:
            self._file = file

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

        def write(self, _: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return lambda path: Full(opener(path))  # type: ignore[return-value]


def test_an_interrupt_stops_all_downloads(tmp_path: Path) -> None:
    choice = _content_mirror(tmp_path / "mirror", {"bash": BASH, "curl": CURL})

    def interrupt(_: fetch.Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.ensure(PACKAGES, tmp_path / "store", interrupt, choice=choice)
    found = fetch.ensure(PACKAGES, tmp_path / "store", choice=choice)
    assert found["bash"].read_bytes() == BASH


@pytest.mark.parametrize("bad", [b"half", b"x" * len(BASH)], ids=["truncated", "flipped"])
def test_a_damaged_file_in_the_store_is_replaced(bad: bytes, tmp_path: Path) -> None:
    choice = _content_mirror(tmp_path / "mirror", {"bash": BASH, "curl": CURL})
    target = stores.blob_path(tmp_path / "store", PACKAGES[0].sha256)
    target.parent.mkdir(parents=True)
    target.write_bytes(bad)
    assert fetch.ensure(PACKAGES, tmp_path / "store", choice=choice)["bash"].read_bytes() == BASH


def test_no_packages_need_no_mirror(tmp_path: Path) -> None:
    none: tuple[LockedPackage, ...] = ()
    assert fetch.ensure(none, tmp_path, env={}) == {}
