"""Settings of the property tests below this directory."""

from __future__ import annotations

from hypothesis import settings

# A busy machine must not make a test fail, and the same code gives the same examples.
settings.register_profile("raft", deadline=None, derandomize=True)
settings.load_profile("raft")
