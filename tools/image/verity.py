"""dm-verity hash trees, as veritysetup makes them (format 1, SHA-256, blocks of 4 KiB).

`append` puts a superblock and the tree behind the data of one file, so that a partition
holds both. Level 0 hashes the data; the root hash is the hash of the single block at the
top, or of the data itself when that is one block. On disk the top level comes first,
right after the superblock's block.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from tools.image.errors import ImageError

BLOCK = 4096
_DIGEST = 32
_PER_BLOCK = BLOCK // _DIGEST
_READ = 1024
_SUPERBLOCK = struct.Struct("<8sII16s32sIIQHxxxxxx256s")


@dataclass(frozen=True, slots=True)
class Verity:
    """A verified device: everything a kernel needs to open it. Blocks are of 4 KiB."""

    root_hash: str
    salt: str
    data_blocks: int
    hash_start: int
    total_blocks: int

    @property
    def partition_uuid(self) -> UUID:
        """The first half of the root hash: it names the partition this tree belongs to."""
        return UUID(self.root_hash[:32])

    @property
    def tree_uuid(self) -> UUID:
        """The second half, for the hash partition of a discoverable image."""
        return UUID(self.root_hash[32:])


def levels(leaves: bytes, salt: bytes) -> list[bytes]:
    """The levels of the tree above `leaves` (the digests of all data blocks).

    Level 0 first; each padded to whole blocks; the last is one block.
    """
    result = [_padded(leaves)]
    while len(result[-1]) > BLOCK:
        result.append(_padded(_hashed(result[-1], salt)))
    return result


def _hashed(data: bytes, salt: bytes) -> bytes:
    seed = hashlib.sha256(salt)
    digests = []
    for start in range(0, len(data), BLOCK):
        digest = seed.copy()
        digest.update(data[start : start + BLOCK])
        digests.append(digest.digest())
    return b"".join(digests)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def superblock(uuid: UUID, data_blocks: int, salt: bytes) -> bytes:
    """The block that lets veritysetup and systemd-dissect find the parameters."""
    head = _SUPERBLOCK.pack(
        b"verity\0\0",
        1,
        1,
        uuid.bytes,
        b"sha256",
        BLOCK,
        BLOCK,
        data_blocks,
        len(salt),
        salt,
    )
    return head + bytes(BLOCK - len(head))


def tree(image: Path, salt: bytes, uuid: UUID) -> tuple[Verity, bytes]:
    """The hash area (superblock and levels) for a file, as if it followed the file.

    Raises:
        ImageError: the file is empty or no whole number of blocks.
    """
    size = image.stat().st_size
    if size == 0 or size % BLOCK:
        raise ImageError(f"{image.name} has {size} bytes, which are no whole blocks of {BLOCK}")
    blocks = size // BLOCK
    leaves = []
    with image.open("rb") as stream:
        while chunk := stream.read(_READ * BLOCK):
            leaves.append(_hashed(chunk, salt))
    stacked = levels(b"".join(leaves), salt) if blocks > 1 else []
    area = superblock(uuid, blocks, salt) + b"".join(reversed(stacked))
    root = (hashlib.sha256(salt + stacked[-1]).digest() if stacked else leaves[0]).hex()
    return Verity(root, salt.hex(), blocks, blocks + 1, blocks + len(area) // BLOCK), area


def append(image: Path, salt: bytes, uuid: UUID) -> Verity:
    """Append the hash area to `image`, padded to whole blocks before."""
    with image.open("ab") as stream:
        stream.write(bytes(-stream.tell() % BLOCK))
    verity, area = tree(image, salt, uuid)
    with image.open("ab") as stream:
        stream.write(area)
    return verity
