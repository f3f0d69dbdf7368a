from __future__ import annotations

from tools.image import units
from tools.image.nodes import Kind, Node, file, symlink, with_parents

FOLDER = "usr/lib/systemd/system"


def test_units_are_found_and_linked() -> None:
    tree: dict[str, Node] = {}
    for node in (
        file(f"{FOLDER}/a.service", b"[Install]\nWantedBy=x.target\n", "p"),
        file(f"{FOLDER}/b.service", b"[Install]\nWantedBy=x.target\n", "p"),
        file(f"{FOLDER}/c.service", b"[Service]\n", "p"),
        file(f"{FOLDER}/c.service.d/10-us.conf", b"[Install]\nWantedBy=y.target\n", "us"),
        file(f"{FOLDER}/README", b"[Install]\nWantedBy=x.target\n", "p"),
        symlink(f"{FOLDER}/alias.service", "a.service", "p"),
        symlink(f"{FOLDER}/masked.service", "/dev/null", "p"),
        file("usr/lib/systemd/system-preset/10-us.preset", b"disable b*\n", "us"),
    ):
        with_parents(tree, node)
    made = units.enable(tree, units.SYSTEM)
    assert made == {
        "x.target.wants/a.service": "a.service",
        "y.target.wants/c.service": "c.service",
    }
    link = tree["etc/systemd/system/x.target.wants/a.service"]
    assert (link.kind, link.target) == (Kind.SYMLINK, f"/{FOLDER}/a.service")
