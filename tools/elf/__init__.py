"""Checks every ELF file of a tree before the tree becomes an image.

`read_elf` turns the headers of one file into an `ElfInfo`; `Tree` is a file tree that may
be a directory, a tar archive or a dict of a test; `check` walks a tree and returns a
`Report`: what each file is, how it is hardened, and the violations, one line each.
A tree without violations starts: every library and interpreter is found where ld.so
looks, nothing needs text relocations, nothing is set-uid, set-gid or has file
capabilities unless the policy file says so and why.

Promises: only headers are read; no input, however corrupt, raises anything but
`ElfError`; the same tree gives the same report.
"""
