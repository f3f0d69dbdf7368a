"""`strake_step`: what goes into a hermetic step, and what comes out.

The program and the driver `tools.sandbox.step` are found by module name, and what they
import by Pants' own dependency inference; so a step's key changes with every source file it
can reach, and with no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pants.backend.python.dependency_inference.module_mapper import (
    PythonModuleOwners,
    PythonModuleOwnersRequest,
)
from pants.backend.python.subsystems.setup import PythonSetup
from pants.backend.python.target_types import PythonSourceField
from pants.core.goals.package import (
    BuiltPackage,
    BuiltPackageArtifact,
    OutputPathField,
    PackageFieldSet,
)
from pants.core.util_rules.source_files import SourceFiles, SourceFilesRequest
from pants.engine.addresses import Address, Addresses, UnparsedAddressInputs
from pants.engine.fs import (
    EMPTY_DIGEST,
    AddPrefix,
    CreateDigest,
    Digest,
    DigestSubset,
    Directory,
    FileContent,
    MergeDigests,
    PathGlobs,
    RemovePrefix,
    Snapshot,
)
from pants.engine.process import FallibleProcessResult, Process
from pants.engine.rules import Get, MultiGet, Rule, collect_rules, rule
from pants.engine.target import (
    DependenciesRequest,
    FieldSet,
    HydratedSources,
    HydrateSourcesRequest,
    InferDependenciesRequest,
    InferredDependencies,
    SingleSourceField,
    SourcesField,
    Target,
    TransitiveTargets,
    TransitiveTargetsRequest,
    UnexpandedTargets,
)
from pants.engine.unions import UnionRule
from pants.util.logging import LogLevel

from strake import layout
from strake.packages import PackageSets, PackageSetsRequest
from strake.target_types import (
    StepDebsField,
    StepDependenciesField,
    StepOutputsField,
    StepParamsField,
    StepPayloadField,
    StepProgramField,
    StepSourcesField,
    StepToolsField,
)


class StepFailed(Exception):
    """A step's program or its set-up failed; the text is what it said itself."""


@dataclass(frozen=True)
class StepFieldSet(PackageFieldSet):
    required_fields = (StepProgramField, StepToolsField)

    program: StepProgramField
    tools: StepToolsField
    debs: StepDebsField
    payload: StepPayloadField
    sources: StepSourcesField
    dependencies: StepDependenciesField
    params: StepParamsField
    outputs: StepOutputsField
    output_path: OutputPathField


@dataclass(frozen=True)
class StepOutputs:
    """What a step left in /out: the paths in the digest are relative to it."""

    digest: Digest


@dataclass(frozen=True)
class StepRequest:
    field_set: StepFieldSet


@dataclass(frozen=True)
class StepInput:
    """An input: its name, where it lies below `in/`, and a digest with it there."""

    name: str
    path: str
    digest: Digest


@dataclass(frozen=True)
class StepInputRequest:
    target: Target


@dataclass(frozen=True)
class PythonClosure:
    """Python sources at their import paths, with all first-party ones they import."""

    digest: Digest


@dataclass(frozen=True)
class PythonClosureRequest:
    addresses: Addresses


@dataclass(frozen=True)
class ModuleOwner:
    """The target that holds a module of ours."""

    address: Address


@dataclass(frozen=True)
class ModuleOwnerRequest:
    module: str
    wanted_by: Address


@rule
async def find_module(request: ModuleOwnerRequest, python: PythonSetup) -> ModuleOwner:
    owners = await Get(
        PythonModuleOwners,
        PythonModuleOwnersRequest(request.module, resolve=python.default_resolve),
    )
    if not owners.unambiguous:
        raise layout.LayoutError(
            f"{request.wanted_by} needs the module {request.module}, and no target has it; "
            "is there a BUILD file beside it?"
        )
    return ModuleOwner(owners.unambiguous[0])


@rule(desc="Find the Python sources of a step", level=LogLevel.DEBUG)
async def collect_python(request: PythonClosureRequest) -> PythonClosure:
    if not request.addresses:
        return PythonClosure(EMPTY_DIGEST)
    closure = await Get(TransitiveTargets, TransitiveTargetsRequest(request.addresses))
    sources = await Get(
        SourceFiles,
        SourceFilesRequest(
            (target.get(SourcesField) for target in closure.closure),
            for_sources_types=(PythonSourceField,),
            enable_codegen=True,
        ),
    )
    return PythonClosure(sources.snapshot.digest)


@rule
async def step_input(request: StepInputRequest) -> StepInput:
    target = request.target
    name = target.address.target_name
    if StepFieldSet.is_applicable(target):
        outputs = await Get(StepOutputs, StepRequest(StepFieldSet.create(target)))
        return StepInput(name, name, await Get(Digest, AddPrefix(outputs.digest, name)))
    sources = target[SourcesField]
    hydrated = await Get(HydratedSources, HydrateSourcesRequest(sources))
    snapshot = await Get(Snapshot, RemovePrefix(hydrated.snapshot.digest, target.address.spec_path))
    single = isinstance(sources, SingleSourceField)
    path = f"{name}/{snapshot.files[0]}" if single else name
    return StepInput(name, path, await Get(Digest, AddPrefix(snapshot.digest, name)))


@rule
async def run_step(request: StepRequest) -> StepOutputs:
    step = request.field_set
    address = step.address
    addresses = await Get(Addresses, DependenciesRequest(step.dependencies))
    driver, payload_roots, dependencies, own, packages = await MultiGet(
        Get(ModuleOwner, ModuleOwnerRequest(layout.DRIVER, address)),
        Get(Addresses, UnparsedAddressInputs, step.payload.to_unparsed_address_inputs()),
        Get(UnexpandedTargets, Addresses, addresses),
        Get(HydratedSources, HydrateSourcesRequest(step.sources)),
        Get(PackageSets, PackageSetsRequest(_package_addresses(step))),
    )
    code = [target.address for target in dependencies if target.has_field(PythonSourceField)]
    others = [target for target in dependencies if not target.has_field(PythonSourceField)]
    sources, payload, own_digest, *inputs = await MultiGet(
        Get(PythonClosure, PythonClosureRequest(Addresses([driver.address, *code]))),
        Get(PythonClosure, PythonClosureRequest(payload_roots)),
        Get(Digest, RemovePrefix(own.snapshot.digest, address.spec_path)),
        *(Get(StepInput, StepInputRequest(target)) for target in others),
    )
    names = layout.merged_inputs(
        [
            layout.source_inputs(address.spec_path, own.snapshot.files),
            *({one.name: one.path} for one in inputs),
            {layout.PAYLOAD: layout.PAYLOAD} if payload_roots else {},
        ],
        address.spec,
    )
    tools, *debs = packages.sets
    spec = layout.spec(
        name=address.spec,
        program=step.program.value,
        tools=tools,
        debs=debs,
        inputs=names,
        params=step.params.value,
    )
    source_tree, payload_tree, files = await MultiGet(
        Get(Digest, AddPrefix(sources.digest, layout.SOURCES)),
        Get(Digest, AddPrefix(payload.digest, layout.PAYLOAD)),
        Get(Digest, CreateDigest(_small_files(spec, packages))),
    )
    merged = await Get(
        Digest, MergeDigests([own_digest, payload_tree, *(i.digest for i in inputs)])
    )
    input_tree = await Get(Digest, AddPrefix(merged, layout.INPUTS))
    result = await Get(
        FallibleProcessResult,
        Process(
            argv=layout.ARGV,
            env={"PYTHONPATH": layout.SOURCES, "PATH": "/usr/bin:/bin:/usr/sbin:/sbin"},
            input_digest=await Get(Digest, MergeDigests([source_tree, input_tree, files])),
            append_only_caches={"strake": layout.STORE},
            output_directories=(layout.OUT,),
            # A shared cache may take this long to hand over an image before we start our own.
            remote_cache_speculation_delay_millis=10_000,
            description=f"Step {address.spec}",
            level=LogLevel.INFO,
        ),
    )
    if result.exit_code != 0:
        raise StepFailed(
            layout.failure(
                address.spec,
                result.stdout.decode("utf-8", "replace"),
                result.stderr.decode("utf-8", "replace"),
                result.exit_code,
            )
        )
    made = await Get(Snapshot, RemovePrefix(result.output_digest, layout.OUT))
    declared = step.outputs.value or ()
    if missing := layout.missing_outputs(declared, made.files):
        raise StepFailed(f"error: {address.spec} did not make {', '.join(missing)}")
    return StepOutputs(await Get(Digest, DigestSubset(made.digest, PathGlobs(declared))))


def _package_addresses(step: StepFieldSet) -> UnparsedAddressInputs:
    return UnparsedAddressInputs(
        (*(step.tools.value or ()), *(step.debs.value or ())),
        owning_address=step.address,
        description_of_origin=f"the packages of {step.address}",
    )


def _small_files(spec: str, packages: PackageSets) -> list[FileContent | Directory]:
    lists = {one.path: one.text for one in packages.sets}
    files = [FileContent(path, text.encode()) for path, text in sorted(lists.items())]
    return [FileContent(layout.SPEC, spec.encode()), Directory(layout.OUT), *files]


@rule(desc="Package a step", level=LogLevel.DEBUG)
async def package_step(step: StepFieldSet) -> BuiltPackage:
    outputs = await Get(StepOutputs, StepRequest(step))
    path = step.output_path.value_or_default(file_ending=None)
    digest = await Get(Digest, AddPrefix(outputs.digest, path))
    return BuiltPackage(digest, (BuiltPackageArtifact(path),))


@dataclass(frozen=True)
class ProgramFieldSet(FieldSet):
    required_fields = (StepProgramField, StepDependenciesField)

    program: StepProgramField
    dependencies: StepDependenciesField


class InferStepProgram(InferDependenciesRequest[ProgramFieldSet]):
    infer_from = ProgramFieldSet


@rule
async def infer_program(request: InferStepProgram) -> InferredDependencies:
    """A step depends on its program, so that `--changed-since` sees the connection."""
    field_set = request.field_set
    owner = await Get(ModuleOwner, ModuleOwnerRequest(field_set.program.value, field_set.address))
    return InferredDependencies([owner.address])


def rules() -> Iterable[Rule | UnionRule]:
    return [
        *collect_rules(),
        UnionRule(PackageFieldSet, StepFieldSet),
        UnionRule(InferDependenciesRequest, InferStepProgram),
    ]
