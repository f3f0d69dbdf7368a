from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from tools.debian import commands, fakes, fetch
from tools.debian import lock as locks
from tools.debian.errors import DebianError, LockError, MirrorError, ResolveError, SignatureError
from tools.debian.lock import Lock

pytestmark = pytest.mark.skipif(
    not all(shutil.which(name) for name in ("gpg", "gpgv", "apt-get")),
    reason="needs gpg to make a key, and apt for a first lock",
)

WANTED = """
[[suite]]
name = "stable"
archive = "debian"
[sets.image]
[sets.image.packages]
tool = ""
[sets.image.omit]
debconf = "asks questions"
[sets.docker]
on = "image"
[sets.docker.packages]
engine = ""
[sets.vm.packages]
tool = ""
"""


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch, "BACKOFF_S", 0)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fakes.Key]:
    with fakes.signing_key(tmp_path_factory.mktemp("key")) as made:
        yield made


@dataclass(frozen=True, slots=True)
class World:
    """A repository, a store, an archive and the key it is signed with."""

    root: Path
    store: Path
    archive: fakes.Archive
    key: fakes.Key

    @property
    def env(self) -> dict[str, str]:
        return {"STRAKE_DEBIAN_MIRROR": str(self.archive.root), "HOME": "/nonexistent"}

    def lock(self) -> Lock:
        return commands.lock(self.root, self.store, env=self.env, now=fakes.NOW).lock

    def want(self, text: str) -> None:
        commands.wanted_path(self.root).write_text(text)


@pytest.fixture
def world(tmp_path: Path, key: fakes.Key) -> World:
    keys = tmp_path / "repository" / "os" / "packages" / "keys"
    keys.mkdir(parents=True)
    shutil.copy(key.public, keys / "test.asc")
    archive = fakes.Archive(tmp_path / "archive")
    archive.add("tool", depends="libtool (>= 1), debconf", recommends="extra")
    archive.add("libtool", version="0.9")
    archive.add("libtool", version="1.0~rc1-1")
    archive.add("libtool", version="1.10-1")
    archive.add("libtool", version="1.9-1")
    archive.add("debconf", depends="perl")
    archive.add("perl")
    archive.add("extra")
    archive.add("engine", depends="libtool, perl")
    archive.publish(key)
    made = World(tmp_path / "repository", tmp_path / "store", archive, key)
    made.want(WANTED)
    return made


def test_locks_what_apt_would_install(world: World) -> None:
    lock = world.lock()
    assert [(item.name, item.version, item.sets) for item in lock.packages] == [
        ("debconf", "1", ("vm",)),
        ("engine", "1", ("docker",)),
        ("libtool", "1.10-1", ("image", "vm")),
        ("perl", "1", ("docker", "vm")),
        ("tool", "1", ("image", "vm")),
    ]
    assert lock.epoch == int(world.archive.date.timestamp())


def test_the_lock_is_written_names_no_host_and_is_stable(world: World) -> None:
    first = world.lock()
    text = commands.lock_path(world.root).read_text()
    assert locks.load(commands.lock_path(world.root)) == first
    assert "://" not in text
    assert str(world.archive.root) not in text
    world.lock()
    assert commands.lock_path(world.root).read_text() == text


def test_what_is_locked_can_be_fetched(world: World) -> None:
    lock = world.lock()
    assert fetch.ensure(lock.packages, world.store, env=world.env).keys() == {
        package.name for package in lock.packages
    }


def test_tells_what_changed(world: World) -> None:
    world.lock()
    world.archive.add("libtool", version="1.11-1")
    world.archive.publish(world.key)
    done = commands.lock(world.root, world.store, env=world.env, now=fakes.NOW)
    assert [str(change) for change in done.changes] == ["libtool 1.10-1 -> 1.11-1"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("engine", "motor", "set docker: there is no package motor in the suites"),
        ("debconf", "broken", "set image: there is no package broken"),
        ("tool", "unmet", "set image cannot be installed: unmet : Depends: nothing"),
    ],
)
def test_wishes_that_cannot_be_met(old: str, new: str, message: str, world: World) -> None:
    world.archive.add("unmet", depends="nothing")
    world.archive.publish(world.key)
    world.want(WANTED.replace(old, new))
    with pytest.raises(ResolveError, match=message) as caught:
        world.lock()
    assert "\n" not in caught.value.message
    assert "packages.toml" in caught.value.hint


def _unsigned(world: World) -> None:
    world.archive.inrelease_path.write_text(world.archive.release(b""))


def _changed_release(world: World) -> None:
    path = world.archive.inrelease_path
    path.write_bytes(path.read_bytes().replace(b"Origin: Test", b"Origin: Evil"))


def _changed_index(world: World) -> None:
    path = world.archive.index_path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


def _expired(world: World) -> None:
    world.archive.date = fakes.NOW - timedelta(days=8)
    world.archive.publish(world.key)


def _other_suite(world: World) -> None:
    world.archive.suite = "testing"
    world.archive.publish(world.key)
    shutil.copytree(
        world.archive.inrelease_path.parent,
        world.archive.inrelease_path.parent.with_name("stable"),
        dirs_exist_ok=True,
    )


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (_unsigned, "stable/InRelease"),
        (_changed_release, "stable/InRelease: the signature does not match the content"),
        (_changed_index, "Packages.xz is not the file that was signed: expected sha256 .* found"),
        (_expired, "stable: release file expired on"),
        (_other_suite, "stable: the mirror answered with the release file of testing"),
    ],
)
def test_an_archive_that_is_not_what_was_signed(attack: object, message: str, world: World) -> None:
    assert callable(attack)
    attack(world)
    with pytest.raises(SignatureError, match=message):
        world.lock()
    assert not commands.lock_path(world.root).exists()


def test_without_keys_nothing_is_believed(world: World) -> None:
    for path in commands.key_paths(world.root):
        path.unlink()
    with pytest.raises(LockError, match="no archive key"):
        world.lock()


def test_a_mirror_that_is_not_there(world: World) -> None:
    shutil.rmtree(world.archive.root)
    with pytest.raises(MirrorError) as caught:
        world.lock()
    assert "STRAKE_DEBIAN_MIRROR" in caught.value.hint


def test_check_finds_everything_there(world: World) -> None:
    world.lock()
    checked = commands.check(world.root, world.store, env=world.env)
    assert (checked.total, checked.exit_code, checked.lines()) == (5, 0, [])


def test_check_names_what_is_gone_and_what_was_edited(world: World) -> None:
    lock = world.lock()
    world.want(WANTED.replace('engine = ""', 'engine = ""\nperl = ""'))
    perl = next(item for item in lock.packages if item.name == "perl")
    (world.archive.root / perl.pool).unlink()
    checked = commands.check(world.root, world.store, env=world.env)
    assert checked.exit_code == 1
    assert checked.lines() == [
        "gone from the mirror: perl 1",
        "set docker was edited after it was locked",
    ]


def test_check_needs_a_lock(world: World) -> None:
    with pytest.raises(DebianError, match="cannot read"):
        commands.check(world.root, world.store, env=world.env)


def test_sync_then_check_against_the_copy(world: World, tmp_path: Path) -> None:
    world.lock()
    done = commands.sync(world.root, world.store, tmp_path / "mirror", env=world.env)
    assert str(done).startswith("5 packages")
    shutil.rmtree(world.archive.root)
    offline = {"STRAKE_MIRROR": str(tmp_path / "mirror")}
    assert commands.check(world.root, world.store, env=offline).exit_code == 0
