"""`debian_packages`: one set of the package lock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pants.engine.addresses import Addresses, UnparsedAddressInputs
from pants.engine.fs import Digest, DigestContents
from pants.engine.rules import Get, Rule, collect_rules, rule
from pants.engine.target import (
    COMMON_TARGET_FIELDS,
    HydratedSources,
    HydrateSourcesRequest,
    SingleSourceField,
    StringField,
    Target,
    Targets,
)

from strake.layout import PackageSet, package_set


class PackageLockField(SingleSourceField):
    alias = "lock"
    required = True
    help = "The package lock, as written by `./strake lock`."


class PackageSetField(StringField):
    alias = "set"
    required = True
    value: str
    help = "The set of the lock, as named in packages.toml."


class DebianPackages(Target):
    alias = "debian_packages"
    core_fields = (*COMMON_TARGET_FIELDS, PackageLockField, PackageSetField)
    help = "One set of locked Debian packages: the tools of a step, or what it works on."


@dataclass(frozen=True)
class PackageSetsRequest:
    """Sets by the addresses of their targets."""

    addresses: UnparsedAddressInputs


@dataclass(frozen=True)
class PackageSets:
    """In the order of the request."""

    sets: tuple[PackageSet, ...]


@dataclass(frozen=True)
class PackageSetRequest:
    lock: PackageLockField
    name: str


@rule
async def cut_package_set(request: PackageSetRequest) -> PackageSet:
    hydrated = await Get(HydratedSources, HydrateSourcesRequest(request.lock))
    (lock,) = await Get(DigestContents, Digest, hydrated.snapshot.digest)
    return package_set(lock.content.decode(), request.name)


@rule
async def find_package_sets(request: PackageSetsRequest) -> PackageSets:
    addresses = await Get(Addresses, UnparsedAddressInputs, request.addresses)
    targets = await Get(Targets, Addresses, addresses)
    sets = [
        await Get(
            PackageSet,
            PackageSetRequest(target[PackageLockField], target[PackageSetField].value),
        )
        for target in targets
    ]
    return PackageSets(tuple(sets))


def rules() -> Iterable[Rule]:
    return collect_rules()
