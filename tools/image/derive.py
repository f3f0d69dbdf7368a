"""Identifiers that a random generator would make elsewhere, derived from a seed."""

from __future__ import annotations

import hashlib
import hmac
from uuid import UUID


def digest(seed: str, purpose: str) -> bytes:
    """32 bytes for one purpose; other purposes tell nothing about them."""
    return hmac.new(seed.encode(), purpose.encode(), hashlib.sha256).digest()


def uuid(seed: str, purpose: str) -> UUID:
    """A UUID in the form of a random one (version 4)."""
    return UUID(bytes=digest(seed, purpose)[:16], version=4)


def serial(seed: str, purpose: str) -> str:
    """A FAT volume serial number, eight hexadecimal digits."""
    return digest(seed, purpose)[:4].hex()
