"""Does the same commit give the same bits?

A target is built twice, from two copies of the tree in different directories, with nothing
shared but the hash-checked downloads, under everything that likes to leak into builds:
umask, time zone, locale, host name, user, home and number of processors (`VARIATIONS`).
Then every artifact is compared by digest; what differs is handed to diffoscope.
"""

from tools.reproduce._build import VARIATIONS, ReproduceError, Variation, build_varied, copy_tree
from tools.reproduce._compare import Comparison, compare, explain

__all__ = [
    "VARIATIONS",
    "Comparison",
    "ReproduceError",
    "Variation",
    "build_varied",
    "compare",
    "copy_tree",
    "explain",
]
