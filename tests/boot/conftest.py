"""Fixtures of the boot tests: the built image, and machines that run it.

The image comes from `STRAKE_IMAGE_DIR`, or from where `./pants package os/image:strake` or
the dependency on it puts it. Machines use KVM where it works; `STRAKE_ACCEL=tcg` forbids it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.boot.disks import RawDisk, Release, sparse_copy
from tools.vm import Image, Machine, Options, Programs, launched, locate
from tools.vm.image import unpacked

PLACES = ("os.image/strake", "dist/os.image/strake")
LOGIN = r"\blogin:$"
LOGIN_S = 300.0

Boot = Callable[..., AbstractContextManager[Machine]]


def _image_dir() -> Path:
    named = os.environ.get("STRAKE_IMAGE_DIR")
    places = [Path(named)] if named else [Path(place) for place in PLACES]
    for place in places:
        if (place / "image.json").is_file():
            return place.absolute()
    pytest.fail(f"no image in {', '.join(map(str, places))}: ./strake build os/image:strake")


@pytest.fixture(scope="session")
def image_dir() -> Path:
    return _image_dir()


@pytest.fixture(scope="session")
def image(image_dir: Path) -> Image:
    return Image.load(image_dir)


@pytest.fixture(scope="session")
def programs() -> Programs:
    return locate()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where machines live: on disk, for the session."""
    return tmp_path_factory.mktemp("vm")


@pytest.fixture(scope="session")
def raw(image: Image, base: Path, programs: Programs) -> Path:
    """The image's disk; nobody writes it."""
    return unpacked(image, base / "images", programs)


@pytest.fixture(scope="session")
def boot(image: Image, raw: Path, base: Path, programs: Programs) -> Boot:
    """Switch a machine on: with the image's disk, or with one given as `disk=`."""

    def start(
        name: str, disk: RawDisk | None = None, **options: object
    ) -> AbstractContextManager[Machine]:
        wanted = {"memory": 1024, "accel": os.environ.get("STRAKE_ACCEL", "auto"), **options}
        chosen = replace(image, disk=disk.path if disk else raw)
        return launched(
            chosen,
            Options(name=name, **wanted),  # type: ignore[arg-type]  # checked at run time
            programs,
            base=base,
        )

    return start


@pytest.fixture(scope="session")
def release(image_dir: Path) -> Release:
    return Release.load(image_dir)


@pytest.fixture
def scratch(raw: Path, tmp_path: Path, programs: Programs) -> Iterator[RawDisk]:
    """A copy of the image's disk to change before it boots."""
    copy = tmp_path / f"{tmp_path.name}.raw"
    sparse_copy(raw, copy)
    yield RawDisk(copy, programs)
    copy.unlink()


def root(machine: Machine, command: str) -> str:
    """What a command run as root in the guest printed."""
    return machine.ssh(f"sudo {command}").text.strip()


def log_in(machine: Machine, since: int = 0) -> None:
    """Wait for the login prompt and for ssh."""
    machine.console.wait_for(LOGIN, LOGIN_S, since=since)
    machine.wait_ssh(120)


def settled(machine: Machine) -> str:
    """What systemd says once the start is complete."""
    command = "systemctl is-system-running --wait"
    return machine.ssh(command, check=False, timeout=LOGIN_S).text.strip()
