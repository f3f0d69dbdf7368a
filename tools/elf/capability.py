"""The security.capability attribute (struct vfs_cap_data of linux/capability.h) as text."""

from __future__ import annotations

import struct

from tools.elf.errors import ElfError

NAMES = (
    "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap "
    "linux_immutable net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner "
    "sys_module sys_rawio sys_chroot sys_ptrace sys_pacct sys_admin sys_boot sys_nice "
    "sys_resource sys_time sys_tty_config mknod lease audit_write audit_control setfcap "
    "mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf "
    "checkpoint_restore"
).split()
"""Capability names by bit number, without the `cap_` prefix."""

_REVISIONS = {0x01000000: 1, 0x02000000: 2, 0x03000000: 2}
"""Words of permitted and inheritable bits, by revision."""


def capability_text(raw: bytes) -> str:
    """The capabilities in the form setcap(8) takes, as `cap_net_raw=ep`.

    Raises:
        ElfError: not an attribute the kernel would accept.
    """
    if len(raw) < 4:
        raise ElfError(f"security.capability of {len(raw)} bytes")
    (magic,) = struct.unpack_from("<I", raw)
    words = _REVISIONS.get(magic & 0xFF000000)
    if words is None or len(raw) < 4 + 8 * words:
        raise ElfError(f"security.capability with unknown form {magic:#010x}")
    pairs = [struct.unpack_from("<II", raw, 4 + 8 * index) for index in range(words)]
    permitted = sum(pair[0] << (32 * index) for index, pair in enumerate(pairs))
    inheritable = sum(pair[1] << (32 * index) for index, pair in enumerate(pairs))
    sets = ("e" if magic & 1 else "") + ("p" if permitted else "") + ("i" if inheritable else "")
    return f"{','.join(_names(permitted | inheritable))}={sets}"


def _names(bits: int) -> list[str]:
    count = bits.bit_length()
    known = [*NAMES, *(str(number) for number in range(len(NAMES), 64))]
    return [f"cap_{known[number]}" for number in range(count) if bits >> number & 1]
