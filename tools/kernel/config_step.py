"""The hermetic step `os/kernel:config`: from fragments to a proven configuration.

It is apart from compiling so that a better reason in a fragment, or a mended test of this
package, does not compile the kernel again: only a changed configuration does.

Inputs: `fragments` (a directory), `hardening.toml`, and the directories that the parameter
`layers` names: each holds fragments which may override the ones before, and may hold a
`hardening.toml` with further deviations.  Outputs:

    config        the complete configuration
    symbols.json  every symbol asked for: value, reason, place
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from tools.kernel import config, fragment, hardening, merge, source
from tools.kernel.configure import configure
from tools.kernel.errors import KernelError
from tools.kernel.fragment import Ask
from tools.sandbox import guest
from tools.sandbox.guest import Step, progress

HARDENING = "hardening.toml"


def main(step: Step) -> None:
    """Write the configuration into `step.out`. Raises KernelError, DebError, ProgramError."""
    layers = [step.inputs[name] for name in ("fragments", *step.params.get("layers", ()))]
    asked = merge.merge([fragment.load_directory(layer) for layer in layers])
    tables = _tables([step.inputs[HARDENING], *(layer / HARDENING for layer in layers)])
    progress("unpack the kernel's configuration files")
    tree = source.prepare(step.debs, step.build, step.epoch, step.jobs, source.CONFIG_ONLY)
    progress(f"configure: {len(asked)} symbols are asked for")
    text = configure(tree, asked)
    _check(tables, config.parse(text))
    (step.out / "config").write_text(text)
    (step.out / "symbols.json").write_text(_symbols(asked))
    progress(f"{len(config.parse(text))} options, all asked-for symbols came true")


def _tables(paths: Iterable[Path]) -> hardening.Hardening:
    present = [path for path in paths if path.exists()]
    return hardening.combine(hardening.parse(path.read_text(), path.name) for path in present)


def _check(table: hardening.Hardening, values: Mapping[str, str]) -> None:
    found = list(hardening.problems(table, values))
    if found:
        raise KernelError("\nerror: ".join(found), f"give the reason in {HARDENING}")


def _symbols(asked: Mapping[str, Ask]) -> str:
    entries = {
        symbol: {"value": ask.value, "reason": ask.reason, "place": ask.place}
        for symbol, ask in asked.items()
    }
    return json.dumps(entries, indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    guest.main(main)
