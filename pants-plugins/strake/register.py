"""What Pants finds here: the backend `strake` of pants.toml."""

from __future__ import annotations

from strake import packages, protobuf, step
from strake.target_types import StrakeStep


def target_types():
    return [packages.DebianPackages, StrakeStep, *protobuf.target_types()]


def rules():
    return [*packages.rules(), *step.rules(), *protobuf.rules()]
