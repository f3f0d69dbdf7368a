from __future__ import annotations

from uuid import UUID

from tools.image import derive


def test_identifiers_are_stable_and_distinct() -> None:
    # Machines in the field carry these: a change here is a change of every image.
    assert derive.uuid("seed", "a") == UUID("1668ea3c-8050-4261-895d-0aebd9d986b9")
    assert derive.uuid("seed", "a") != derive.uuid("seed", "b") != derive.uuid("other", "b")
    assert derive.uuid("seed", "a").version == 4
    assert derive.serial("seed", "a") == "1668ea3c"
    assert len(derive.digest("seed", "salt")) == 32
