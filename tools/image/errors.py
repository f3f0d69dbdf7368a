"""Why an image cannot be composed."""

from __future__ import annotations

from tools.errors import StrakeError


class ImageError(StrakeError):
    """A part of an image is missing, contradicts another, or does not fit."""


class DataError(ImageError):
    """One of our own data files (TOML, presets, sysusers.d) says something unusable."""


class TreeError(ImageError):
    """The root tree has something it must not have; the message has one line per finding."""
