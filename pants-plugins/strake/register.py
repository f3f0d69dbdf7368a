"""What Pants finds here: the backend `strake` of pants.toml."""

from __future__ import annotations

from collections.abc import Iterable

from pants.engine.rules import Rule
from pants.engine.target import Target
from pants.engine.unions import UnionRule

from strake import packages, protobuf, ruff_format, step
from strake.target_types import StrakeStep


def target_types() -> Iterable[type[Target]]:
    return [packages.DebianPackages, StrakeStep, *protobuf.target_types()]


def rules() -> Iterable[Rule | UnionRule]:
    return [*packages.rules(), *step.rules(), *protobuf.rules(), *ruff_format.rules()]
