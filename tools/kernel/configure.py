"""Turn what is asked for into a .config, and prove that it came true."""

from __future__ import annotations

from collections.abc import Mapping

from tools.kernel import config, explain, kconfig, merge, proof
from tools.kernel.errors import KernelError
from tools.kernel.fragment import Ask
from tools.kernel.source import Source, complaint
from tools.proc import ProgramFailed


def configure(source: Source, asked: Mapping[str, Ask]) -> str:
    """The complete .config: what is asked for, what that selects, and nothing else.

    Raises:
        LostSymbols: something asked for did not come true, or names no symbol at all.
        KernelError: make refused, or the result is not stable.
    """
    wanted = source.root / ".strake.config"
    wanted.write_text(merge.render(asked))
    try:
        source.make(f"KCONFIG_ALLCONFIG={wanted.name}", "allnoconfig")
        text = (source.root / ".config").read_text()
        source.make("olddefconfig")
    except ProgramFailed as failure:
        raise KernelError(f"configuring failed: {complaint(failure.tail)}") from failure
    if (source.root / ".config").read_text() != text:
        raise KernelError("olddefconfig changed the configuration it was given")
    _prove(source, asked, config.parse(text))
    return text


def _prove(source: Source, asked: Mapping[str, Ask], values: Mapping[str, str]) -> None:
    tree = kconfig.load(source.root)
    asks = asked.values()
    lost = (*proof.lost(asks, values), *proof.nameless(asks, tree.definitions))
    if lost:
        version = source.make("-s", "kernelversion").strip()
        raise explain.failure(lost, values, tree, version)
