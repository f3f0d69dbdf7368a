"""Entry point of `./strake`: turns every way of failing into two lines and a status."""

from __future__ import annotations

import errno
import sys

import click

from tools.cli.app import strake
from tools.errors import StrakeError


def main() -> int:
    """Run the command line; returns the exit status."""
    try:
        strake.main(prog_name="./strake", standalone_mode=False)
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.ClickException as wrong:
        wrong.show()
        return wrong.exit_code
    except (KeyboardInterrupt, click.Abort):
        print("\ninterrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except StrakeError as error:
        print(error.render(), file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 141
    except OSError as error:
        print(_render_os_error(error), file=sys.stderr)
        return 1
    return 0


def _render_os_error(error: OSError) -> str:
    where = error.filename or "an operation of the system"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"error: {where}: the disk is full\nhint: free space, then run the command again"
    return f"error: {where}: {error.strerror or error}"


if __name__ == "__main__":
    sys.exit(main())
