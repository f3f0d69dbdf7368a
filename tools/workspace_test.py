from __future__ import annotations

from pathlib import Path

import pytest

from tools.workspace import WorkspaceError, cache_dir, store_dir


@pytest.mark.parametrize(
    ("env", "expected"),
    [
        pytest.param({"XDG_CACHE_HOME": "/x", "HOME": "/h"}, "/x/strake", id="xdg"),
        pytest.param({"HOME": "/h"}, "/h/.cache/strake", id="home"),
        pytest.param(
            {"XDG_CACHE_HOME": "rel", "HOME": "/h"}, "/h/.cache/strake", id="xdg-relative"
        ),
    ],
)
def test_cache_dir(env: dict[str, str], expected: str) -> None:
    assert cache_dir(env) == Path(expected)
    assert store_dir(env) == Path(expected) / "named" / "strake"


def test_no_home_is_one_clear_error() -> None:
    with pytest.raises(WorkspaceError, match="no place for the cache"):
        cache_dir({})
