"""Step: locked packages → base.tar, the part of the root tree that only they decide.

Inputs: `packages.toml` (what is left out). Debs: the image's packages.
Outputs: base.tar, and base.json, its index; see `tarball`. What takes long and changes
rarely is done here: decompression, byte code, certificates. No maintainer script runs.
"""

from __future__ import annotations

from tools.image import bytecode, certificates, config, debs, merge, tarball
from tools.image.nodes import directory, with_parents
from tools.sandbox import guest

PYTHON_ROOTS = ("usr/lib/python3", "usr/lib/python3.13")


def build(step: guest.Step) -> None:
    """Make base.tar and base.json."""
    rules = config.parse_package_rules(step.inputs["packages.toml"].read_text(), "packages.toml")
    versions = {package["name"]: package["version"] for package in step.packages}
    guest.progress(f"read {len(step.debs)} packages")
    packages = debs.read_all(step.debs, versions, step.build / "debs", step.jobs)
    tree = merge.merge(packages, rules.conflicts)
    tree.setdefault("", directory("", "base-files"))
    merge.drop(tree, rules.drop)
    if (python := versions.get("python3.13-minimal")) is not None:
        guest.progress("compile Python's library")
        bytecode.check_interpreter(python)
        for node in list(bytecode.nodes(tree, PYTHON_ROOTS)):
            with_parents(tree, node)
    for node in list(certificates.nodes(tree, step.build / "certificates")):
        with_parents(tree, node)
    guest.progress(f"write {len(tree)} paths")
    archive = tarball.write(tree, step.out / "base.tar", step.epoch)
    (step.out / "base.json").write_text(tarball.dump_index(archive))


if __name__ == "__main__":
    guest.main(build)
