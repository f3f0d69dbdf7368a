"""Hermetic execution: a program in a file tree of our choice, and nothing of the host.

`Sandbox` describes what a program may see: a tools tree as `/` (read only), bind mounts,
a fixed environment, host name and user, no network unless asked for. It needs root or
user namespaces and refuses to run anything when it has neither. `step` drives one step
of the build graph through it; `guest` is what a step's program uses inside.
"""

from tools.sandbox._sandbox import Bind, Network, Sandbox, SandboxError

__all__ = ["Bind", "Network", "Sandbox", "SandboxError"]
