"""Measurements of the image: how long it takes to build, to boot, and what it costs to run.

`builds` times the build graph in a copy of the tree; `tools.vm.bench` boots the result.
`./strake bench image` prints both as one table of `Row`s.
"""

from tools.bench._row import Row, table

__all__ = ["Row", "table"]
