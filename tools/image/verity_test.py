from __future__ import annotations

import hashlib
from pathlib import Path
from uuid import UUID

import pytest

from tools.image import verity
from tools.image.errors import ImageError

SALT = bytes.fromhex("00112233445566778899aabbccddeeff")
ID = UUID("01234567-89ab-4cde-8f01-23456789abcd")


# Made by `veritysetup format` 2.7.5 over blocks filled with their number modulo 251.
@pytest.mark.parametrize(
    ("blocks", "root", "area_sha256", "area_bytes"),
    [
        pytest.param(
            1,
            "e94291cf06904788fbe748526d420f084508bbee6acadf1aee8b1afd071a7c56",
            "75c149b47207cb07874b732292685dd709f1100b89cdb931102f3c72f3b131c4",
            4096,
            id="one block",
        ),
        pytest.param(
            2,
            "8a009b91da25d9ed0fbba4efb4560b71805ce47e476ff164220ed550ba5816bd",
            "69d8f4bcde35a0b82290d9eaf03c625c7658ee895b9344f56c78e8355abe832e",
            8192,
            id="two",
        ),
        pytest.param(
            128,
            "06cc07f9632bb7ef6a1af529dbaadb2f2bc2a14cbe38303a51b8cc2f63bcb7b0",
            "1d0f5092e90df0b4a627951ccd992c018897f719fdfc098d4e7ce44420d44e8d",
            8192,
            id="a full block of digests",
        ),
        pytest.param(
            129,
            "8cf02e1d6ecce6e7e19bf695c8d009fcbd26f8f32efa4a2b230adaab72d7ca7b",
            "ee27a50af59a26266026f402c7e1b86bed706f0331b92413a1db910bb815ff72",
            16384,
            id="two levels",
        ),
        pytest.param(
            16385,
            "4a769b051aba12ad6c7ce26c98a3910bb7a41a1ddcf9f20090e004f0799a1083",
            "2cebb1b8cc5d5da5a1f575fade9142955d42b7f5592786998f370965ddc1e3ba",
            544768,
            id="three levels",
        ),
    ],
)
def test_same_as_veritysetup(
    tmp_path: Path, blocks: int, root: str, area_sha256: str, area_bytes: int
) -> None:
    image = tmp_path / "image"
    with image.open("wb") as out:
        out.writelines(bytes([i % 251]) * verity.BLOCK for i in range(blocks))
    found, area = verity.tree(image, SALT, ID)
    assert found.root_hash == root
    assert (len(area), hashlib.sha256(area).hexdigest()) == (area_bytes, area_sha256)


def test_append_pads_and_counts(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"x" * 5000)
    found = verity.append(image, SALT, ID)
    assert (found.data_blocks, found.hash_start, found.total_blocks) == (2, 3, 4)
    data = image.read_bytes()
    assert len(data) == 4 * verity.BLOCK
    assert data[2 * verity.BLOCK :].startswith(b"verity\0\0")
    root = hashlib.sha256(SALT + data[3 * verity.BLOCK :]).hexdigest()
    assert root == found.root_hash
    assert found.partition_uuid.hex + found.tree_uuid.hex == root


@pytest.mark.parametrize("size", [0, 4095, 4097])
def test_only_whole_blocks(tmp_path: Path, size: int) -> None:
    image = tmp_path / "image"
    image.write_bytes(bytes(size))
    with pytest.raises(ImageError, match=f"{size} bytes"):
        verity.tree(image, SALT, ID)
