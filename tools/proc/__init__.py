"""The one way to run an external program.

`run` gives every program the same small environment, whatever the user's shell holds,
and turns every way of failing into a `ProgramError` that reads well in one line. Output
is captured, passed on line by line, or left on the terminal; on a timeout or Ctrl-C the
whole process group ends before the exception leaves.
"""

from tools.proc._run import (
    FIXED_ENV,
    Completed,
    Output,
    ProgramError,
    ProgramFailed,
    ProgramNotFound,
    ProgramTimeout,
    network_env,
    run,
)

__all__ = [
    "FIXED_ENV",
    "Completed",
    "Output",
    "ProgramError",
    "ProgramFailed",
    "ProgramNotFound",
    "ProgramTimeout",
    "network_env",
    "run",
]
