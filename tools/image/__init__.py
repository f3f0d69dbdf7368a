"""Composes the image: packages and our data in, a disk that boots out.

Each `*_step` is a program that runs inside the sandbox, and a target of the build graph:

    base_step    locked packages → base.tar: merged, trimmed, byte code, certificates
    tree_step    base.tar + overlay, brand, users, presets, services → root.tar, checked
    slot_step    root.tar → root.slot: erofs with its verity tree appended
    uki_step     kernel + slot → strake.efi, signed for Secure Boot
    disk_step    all of it → disk.raw.zst, image.json
    sysext_step  packages → a system extension with verity, as a discoverable image

Below them are pure modules: `nodes` is the tree's model; `merge`, `apply`, `sysusers` and
`presets` are what dpkg, maintainer scripts, systemd-sysusers and systemctl would do;
`tarball`, `verity`, `gpt`, `authenticode` and `sparse` are formats.

Promises: the same inputs give the same bits, whatever the number of processors; nothing
needs root, a mount or a loop device; no script of a package ever runs.
"""
