"""Python, gRPC code and type stubs from `.proto` files.

protoc comes from the wheel grpcio-tools, hash-locked like everything else of Python, and not
from a download of its own. Targets, fields and dependency inference are those of Pants.
"""

from __future__ import annotations

from collections.abc import Iterable

from pants.backend.codegen.protobuf import protobuf_dependency_inference
from pants.backend.codegen.protobuf import tailor as protobuf_tailor
from pants.backend.codegen.protobuf.python import (
    additional_fields,
    python_protobuf_module_mapper,
    python_protobuf_subsystem,
)
from pants.backend.codegen.protobuf.target_types import (
    ProtobufGrpcToggleField,
    ProtobufSourceField,
    ProtobufSourcesGeneratorTarget,
    ProtobufSourceTarget,
)
from pants.backend.codegen.protobuf.target_types import rules as protobuf_target_rules
from pants.backend.python.dependency_inference import module_mapper
from pants.backend.python.subsystems.python_tool_base import PythonToolRequirementsBase
from pants.backend.python.target_types import EntryPoint, PythonSourceField
from pants.backend.python.util_rules import pex
from pants.backend.python.util_rules.pex import VenvPex, VenvPexProcess, VenvPexRequest
from pants.backend.python.util_rules.pex_environment import PexEnvironment
from pants.core.util_rules import stripped_source_files
from pants.core.util_rules.source_files import SourceFilesRequest
from pants.core.util_rules.stripped_source_files import StrippedSourceFiles
from pants.engine.fs import (
    AddPrefix,
    CreateDigest,
    Digest,
    Directory,
    MergeDigests,
    RemovePrefix,
    Snapshot,
)
from pants.engine.process import ProcessResult
from pants.engine.rules import Get, MultiGet, Rule, collect_rules, rule
from pants.engine.target import (
    GeneratedSources,
    GenerateSourcesRequest,
    Target,
    TransitiveTargets,
    TransitiveTargetsRequest,
)
from pants.engine.unions import UnionRule
from pants.source.source_root import SourceRoot, SourceRootRequest
from pants.util.logging import LogLevel

_OUT = "_generated"
_STUBS, _GRPC_STUBS = "protoc-gen-mypy", "protoc-gen-mypy_grpc"


class GrpcioTools(PythonToolRequirementsBase):
    options_scope = "grpcio-tools"
    help = "protoc and its Python plugins."
    default_version = "grpcio-tools"
    default_requirements = ["grpcio-tools", "mypy-protobuf"]
    default_interpreter_constraints = ["CPython==3.11.*"]
    register_interpreter_constraints = True
    # Pants wants this set, and never reads it: the resolve of pants.toml takes its place.
    default_lockfile_resource = ("strake", "unused.lock")


class GeneratePythonFromProtobuf(GenerateSourcesRequest):
    input = ProtobufSourceField
    output = PythonSourceField


@rule(desc="Generate Python from Protobuf", level=LogLevel.DEBUG)
async def generate_python(
    request: GeneratePythonFromProtobuf, tools: GrpcioTools, pex_env: PexEnvironment
) -> GeneratedSources:
    target = request.protocol_target
    closure = await Get(TransitiveTargets, TransitiveTargetsRequest([target.address]))
    importable = [
        t[ProtobufSourceField] for t in closure.closure if t.has_field(ProtobufSourceField)
    ]
    all_sources, own, empty, protoc, root = await MultiGet(
        Get(StrippedSourceFiles, SourceFilesRequest(importable)),
        Get(StrippedSourceFiles, SourceFilesRequest([target[ProtobufSourceField]])),
        Get(Digest, CreateDigest([Directory(_OUT)])),
        Get(
            VenvPex,
            VenvPexRequest(
                tools.to_pex_request(main=EntryPoint("grpc_tools.protoc")),
                pex_env.in_sandbox(working_directory=None),
                bin_names=[_STUBS, _GRPC_STUBS],
            ),
        ),
        Get(SourceRoot, SourceRootRequest, SourceRootRequest.for_target(target)),
    )
    plugins = {"python": "", "mypy": protoc.bin[_STUBS].argv0}
    if target.get(ProtobufGrpcToggleField).value:
        plugins.update({"grpc_python": "", "mypy_grpc": protoc.bin[_GRPC_STUBS].argv0})
    argv = ["-I."]
    for name, program in plugins.items():
        argv += [f"--{name}_out={_OUT}"]
        argv += [f"--plugin=protoc-gen-{name}={program}"] if program else []
    result = await Get(
        ProcessResult,
        VenvPexProcess(
            protoc,
            argv=(*argv, *own.snapshot.files),
            input_digest=await Get(Digest, MergeDigests([all_sources.snapshot.digest, empty])),
            output_directories=(_OUT,),
            description=f"Generate Python from {target.address}",
            level=LogLevel.DEBUG,
        ),
    )
    generated = await Get(Digest, RemovePrefix(result.output_digest, _OUT))
    prefix = "" if root.path == "." else root.path
    return GeneratedSources(await Get(Snapshot, AddPrefix(generated, prefix)))


def target_types() -> Iterable[type[Target]]:
    return [ProtobufSourcesGeneratorTarget, ProtobufSourceTarget]


def rules() -> Iterable[Rule | UnionRule]:
    return [
        *collect_rules(),
        *additional_fields.rules(),
        *module_mapper.rules(),
        *pex.rules(),
        *protobuf_dependency_inference.rules(),
        *protobuf_tailor.rules(),
        *protobuf_target_rules(),
        *python_protobuf_module_mapper.rules(),
        *python_protobuf_subsystem.rules(),
        *stripped_source_files.rules(),
        UnionRule(GenerateSourcesRequest, GeneratePythonFromProtobuf),
    ]
