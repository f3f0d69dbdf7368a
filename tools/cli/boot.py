"""`./strake boot` and `./strake ssh`: try the image in a virtual machine."""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from tools.cli.build import IMAGE, run_build
from tools.cli.progress import spinner
from tools.proc import Output, run
from tools.vm import console
from tools.vm.check import BootReport, boot_check
from tools.vm.image import Image
from tools.vm.launch import Options, launched, vm_dir
from tools.vm.programs import Programs
from tools.vm.spec import Credential
from tools.vm.state import DEFAULT_NAME, running
from tools.vm.tree import materialised

Command = TypeVar("Command", bound=Callable[..., None])

_OPTIONS = (
    click.option("--name", default=DEFAULT_NAME, show_default=True, help="Name of the machine."),
    click.option(
        "--memory", default=1024, show_default=True, type=click.IntRange(64), help="MiB of memory."
    ),
    click.option(
        "--cpus", default=2, show_default=True, type=click.IntRange(1), help="Processors."
    ),
    click.option(
        "--accel",
        default="auto",
        show_default=True,
        type=click.Choice(["auto", "kvm", "tcg"]),
        help="Hardware virtualisation, emulation, or the best there is.",
    ),
    click.option("--direct", is_flag=True, help="Load the kernel without firmware."),
    click.option(
        "--disk-size",
        type=click.IntRange(1),
        help="Size of the disk in MiB; the state partition grows to fill it.",
    ),
    click.option(
        "--image",
        type=click.Path(path_type=Path, file_okay=False, exists=True),
        help="Directory of a built image; nothing is built then.",
    ),
)


def _machine_options(command: Command) -> Command:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@_machine_options
@click.option("--keep", is_flag=True, help="Go on with the disk of the last run.")
@click.option("--check", is_flag=True, help="Boot headless, report, and exit 0 or 1.")
@click.option("--json", "as_json", is_flag=True, help="With --check: print the report as JSON.")
def boot(
    name: str,
    memory: int,
    cpus: int,
    accel: str,
    direct: bool,
    disk_size: int | None,
    image: Path | None,
    keep: bool,
    check: bool,
    as_json: bool,
) -> None:
    """Build the image, boot it, and log in as core on its serial console.

    \b
    ./strake boot                 leave with Ctrl-], or with poweroff in the machine
    ./strake ssh                  log in from another terminal meanwhile
    ./strake boot --check         times, memory and failed units; exit 1 if anything is wrong
    ./strake boot --accel tcg     the same without hardware virtualisation

    The disk is thrown away at the end, unless the next run says --keep.
    """
    options = Options(
        name=name,
        memory=memory,
        cpus=cpus,
        accel=accel,
        direct=direct,
        disk_size=disk_size,
        keep=keep,
    )
    directory = (_caller_dir() / image) if image else image_dir(run_build(IMAGE).artifacts)
    programs = machine_programs()
    if check:
        report = boot_check(directory, options, programs, say=_say)
        click.echo(report.to_json() if as_json else render(report))
        sys.exit(0 if report.ok else 1)
    _interactive(directory, options, programs)


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--name", default=DEFAULT_NAME, show_default=True, help="Name of the machine.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def ssh(name: str, command: tuple[str, ...]) -> None:
    """Log in to the machine that ./strake boot runs, or run COMMAND in it.

    \b
    ./strake ssh
    ./strake ssh systemctl status
    ./strake ssh -- journalctl -b -p warning

    The exit status is that of the command.
    """
    login = running(vm_dir(), name).login
    programs = machine_programs()
    terminal = not command and sys.stdin.isatty()
    argv = programs.argv("ssh", *login.arguments(command, terminal=terminal))
    env = {**programs.env, "TERM": os.environ.get("TERM", "dumb")}
    sys.exit(run(argv, env=env, output=Output.TERMINAL, check=False).returncode)


def machine_programs() -> Programs:
    """QEMU and its like, from the locked tools tree."""
    with spinner("preparing the programs of the virtual machine"):
        return Programs(materialised())


def image_dir(artifacts: tuple[Path, ...]) -> Path:
    """The directory that a build of the image left."""
    directories = {path if path.is_dir() else path.parent for path in artifacts}
    for directory in sorted(directories):
        for disk in sorted(directory.rglob("disk.raw.zst")):
            return disk.parent
    return min(directories, default=Path("dist"))


def render(report: BootReport) -> str:
    """A boot report for people."""
    used = report.memory_used
    rows = (
        ("version", report.version),
        ("mode", f"{report.mode}, {report.accel}, {report.cpus} CPUs, {report.memory} MiB"),
        ("kernel", _seconds(report.kernel_start)),
        ("preinit", _seconds(report.preinit)),
        ("systemd", _seconds(report.systemd)),
        ("login", _seconds(report.login)),
        ("running", _seconds(report.running)),
        ("ssh", _seconds(report.ssh)),
        ("memory used", "not known" if used is None else f"{used:.0f} MiB when idle"),
        ("state", report.state or "not known"),
        ("failed units", ", ".join(report.failed_units) or "none"),
        ("console", report.log),
    )
    lines = [f"{name:<13} {value}" for name, value in rows]
    lines += [f"problem       {problem}" for problem in report.problems]
    return "\n".join([*lines, "healthy" if report.ok else "NOT healthy"])


def _interactive(directory: Path, options: Options, programs: Programs) -> None:
    login = Credential("agetty.autologin", b"core")
    with_login = dataclasses.replace(options, credentials=(login,))
    image = Image.load(directory)
    click.echo("leave with Ctrl-], or with poweroff in the machine", err=True)
    with launched(image, with_login, programs, tap=console.show, say=_say) as machine:
        console.attach(machine)
        if machine.alive:
            click.echo("\r\nswitching the machine off", err=True)
            machine.shutdown()


def _seconds(value: float | None) -> str:
    return "not known" if value is None else f"{value:.1f} s"


def _say(text: str) -> None:
    click.echo(text, err=True)


def _caller_dir() -> Path:
    return Path(os.environ.get("STRAKE_CALLER_DIR", "."))
