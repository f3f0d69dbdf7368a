"""The data of this tree is usable: layout, kernel arguments, rules of tree and packages."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

from tools.elf.policy import parse_policy
from tools.image import cmdline, config, layout
from tools.image.disk_step import partition_table
from tools.image.presets import decide, parse_presets

OS = Path("os")
SLOT = {
    "data_blocks": 31738,
    "hash_start": 31739,
    "root_hash": "ab" * 32,
    "salt": "cd" * 32,
    "partition_uuid": "abababab-abab-abab-abab-abababababab",
}


def test_the_layout_is_one_that_fits_and_grows() -> None:
    plan = layout.load(OS / "image/layout.toml")
    assert [part.label for part in plan.partitions] == ["ESP", "ROOT-A", "ROOT-B", "OEM", "STATE"]
    root, spare = plan.partitions[1:3]
    assert root.bytes == spare.bytes >= 4 * plan.slot_budget
    state = plan.partitions[-1]
    assert [part.type for part in plan.partitions].count(state.type) == 1
    table = partition_table(plan, SLOT["partition_uuid"])  # type: ignore[arg-type]  # a str
    assert table.partitions[1].uuid == UUID("abababab-abab-abab-abab-abababababab")
    assert all(part.first % 2048 == 0 for part in table.partitions)
    assert len({part.uuid for part in table.partitions}) == 5


def test_the_command_line_fits() -> None:
    arguments = cmdline.parse((OS / "image/cmdline.toml").read_text(), "cmdline.toml")
    line = cmdline.fill(arguments, SLOT, "99999.2.999")
    assert "init=/usr/lib/strake/preinit" in line.split()
    assert "panic_on_corruption" in line


def test_rules_and_policy_can_be_read() -> None:
    config.parse((OS / "rootfs/tree.toml").read_text(), "tree.toml")
    parse_policy((OS / "rootfs/setuid.toml").read_text(), "setuid.toml")
    rules = config.parse_package_rules((OS / "packages/packages.toml").read_text(), "p")
    assert "usr/share/doc/*" in rules.drop


def test_nothing_is_enabled_that_we_did_not_choose() -> None:
    folder = OS / "rootfs/overlay/usr/lib/systemd/system-preset"
    rules = parse_presets({path.name: path.read_text() for path in folder.glob("*.preset")})
    assert decide(rules, "surprise.service") == (False, ())
    assert json.dumps([rule.pattern for rule in rules])
