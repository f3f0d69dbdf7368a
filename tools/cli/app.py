"""The table of commands, and the group that loads each one when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import click


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a command lives and what `--help` of the group says of it."""

    module: str
    name: str
    summary: str


COMMANDS: Mapping[str, Entry] = MappingProxyType(
    {
        "boot": Entry(
            "tools.cli.boot", "boot", "Build the image and boot it in a virtual machine."
        ),
        "ssh": Entry("tools.cli.boot", "ssh", "Log in to the running machine as core."),
        "build": Entry("tools.cli.build", "build", "Build a target, by default the disk image."),
        "reproduce": Entry(
            "tools.cli.reproduce", "reproduce", "Build a target twice, varied, and compare."
        ),
        "lock": Entry("tools.cli.packages", "lock", "Resolve the Debian packages and lock them."),
        "mirror": Entry("tools.cli.packages", "mirror", "Keep all locked packages in a directory."),
        "bench": Entry("tools.cli.bench", "bench", "Measure, and print a table."),
    }
)


class LazyGroup(click.Group):
    """A group whose commands are imported on use; their summaries come from the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command; None when there is none of that name."""
        entry = COMMANDS.get(cmd_name)
        if entry is None:
            return None
        command = getattr(importlib.import_module(entry.module), entry.name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def strake() -> None:
    """Build, try and measure Strake.

    \b
    ./strake boot            build the image and log in on its console
    ./strake boot --check    the same headless; exit 0 when it came up healthy
    ./pants test ::          run every test

    What is built is cached by content under $XDG_CACHE_HOME/strake (~/.cache/strake), and can
    be deleted at any time.
    """
