"""The target `strake_step` and its fields."""

from __future__ import annotations

import json
from typing import Any, Optional

from pants.core.goals.package import OutputPathField
from pants.engine.addresses import Address
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    Dependencies,
    Field,
    InvalidFieldException,
    MultipleSourcesField,
    SpecialCasedDependencies,
    StringField,
    StringSequenceField,
    Target,
)


class StepProgramField(StringField):
    alias = "program"
    required = True
    value: str
    help = "The module that does the work, run inside by the tools tree's own Python."


class StepToolsField(SpecialCasedDependencies):
    alias = "tools"
    required = True
    help = "The `debian_packages` that become the root of the sandbox: one address."

    @classmethod
    def compute_value(cls, raw_value: Optional[Any], address: Address) -> Optional[tuple[str, ...]]:
        if not isinstance(raw_value, str):
            raise InvalidFieldException(f"tools of {address}: write one address as a text")
        return (raw_value,)


class StepDebsField(SpecialCasedDependencies):
    alias = "debs"
    help = "`debian_packages` whose files the program finds in /debs."


class StepPayloadField(SpecialCasedDependencies):
    alias = "payload"
    help = (
        "Python targets; their sources and all first-party sources these import, generated "
        "ones too, are the input directory `python`."
    )


class StepSourcesField(MultipleSourcesField):
    default = ()
    uses_source_roots = False
    help = "Files of this directory. The first part of their relative path names the input."


class StepDependenciesField(Dependencies):
    help = (
        "Steps, `file` and `files` targets. Each becomes an input with the target's name; of a "
        "step it is the directory of its outputs."
    )


class StepParamsField(Field):
    alias = "params"
    default = "{}"
    value: str
    help = "Plain values for the program: anything that JSON can hold, as a dictionary."

    @classmethod
    def compute_value(cls, raw_value: Optional[Any], address: Address) -> str:
        raw_value = super().compute_value(raw_value, address)
        if raw_value == cls.default:
            return cls.default
        try:
            if not isinstance(raw_value, dict):
                raise TypeError("it is not a dictionary")
            return json.dumps(raw_value, sort_keys=True)
        except (TypeError, ValueError) as error:
            raise InvalidFieldException(f"params of {address}: {error}") from error


class StepOutputsField(StringSequenceField):
    alias = "outputs"
    required = True
    value: tuple[str, ...]
    help = "Files that the program leaves in /out; it is an error when one is missing."


class StrakeStep(Target):
    alias = "strake_step"
    core_fields = (
        *COMMON_TARGET_FIELDS,
        StepDependenciesField,
        StepProgramField,
        StepToolsField,
        StepDebsField,
        StepPayloadField,
        StepSourcesField,
        StepParamsField,
        StepOutputsField,
        OutputPathField,
    )
    help = "A hermetic step: a program of ours, run in a tools tree without network."
