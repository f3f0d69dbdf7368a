"""Targets and rules of this repository's build graph, for Pants.

Rules here are thin: they say what goes into a sandbox and what comes out, and leave the work
to `tools/`. Three things are added to what Pants knows:

- `protobuf_source(s)` become Python, with protoc from a hash-locked wheel (`protobuf`);
- `debian_packages` is one set of the package lock (`packages`);
- `strake_step` is one hermetic step: a program of ours that runs in a tools tree (`step`).

What can be decided without the engine is in `layout`, which imports nothing of Pants.
These modules run on the CPython 3.9 of Pants, not on the one of the rest of the tree.
"""
