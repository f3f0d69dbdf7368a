from __future__ import annotations

import pytest

from tools.image.errors import DataError
from tools.image.presets import Install, decide, links, parse_install, parse_presets

WANTED = "[Install]\nWantedBy=multi-user.target\n"


@pytest.mark.parametrize(
    ("files", "unit", "enabled"),
    [
        pytest.param({}, "a.service", True, id="no rule: enabled"),
        pytest.param({"9": "disable *"}, "a.service", False, id="disable all"),
        pytest.param({"9": "disable *", "1": "enable a.*"}, "a.service", True, id="names sort"),
        pytest.param({"1": "enable a*\ndisable a*"}, "a.service", True, id="first rule wins"),
        pytest.param({"1": "# enable a*\n; x\n\ndisable a*"}, "a.service", False, id="comments"),
        pytest.param({"1": "ignore a*"}, "a.service", False, id="ignored is left alone"),
        pytest.param({"1": "disable ?.socket"}, "b.service", True, id="other units"),
    ],
)
def test_decisions(files: dict[str, str], unit: str, enabled: bool) -> None:
    assert decide(parse_presets(files), unit)[0] is enabled


@pytest.mark.parametrize("line", ["start x.service", "enable", "enabled a b"])
def test_not_a_preset(line: str) -> None:
    with pytest.raises(DataError, match="10-x.preset:2"):
        parse_presets({"10-x.preset": f"# one\n{line}\n"})


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        pytest.param([WANTED], Install(wanted=(("wants", "multi-user.target"),)), id="plain"),
        pytest.param(
            ["[Unit]\nWantedBy=no\n[Install]\nRequiredBy=a.target b.target\nUpheldBy=c.target"],
            Install(
                wanted=(("requires", "a.target"), ("requires", "b.target"), ("upholds", "c.target"))
            ),
            id="sections and kinds",
        ),
        pytest.param(
            [WANTED, "[Install]\nWantedBy=\nWantedBy=x.target"],
            Install(wanted=(("wants", "x.target"),)),
            id="a drop-in clears",
        ),
        pytest.param(
            ["[Install]\nAlias=a.service \\\n  b.service\nX-Foo=1\n"],
            Install(alias=("a.service", "b.service")),
            id="continued lines, extensions",
        ),
    ],
)
def test_install_sections(texts: list[str], expected: Install) -> None:
    assert parse_install(texts, "x.service") == expected


def test_an_unknown_key() -> None:
    with pytest.raises(DataError, match="WantBy"):
        parse_install(["[Install]\nWantBy=x"], "x.service")


@pytest.mark.parametrize(
    ("units", "preset", "expected"),
    [
        pytest.param(
            {"a.service": WANTED, "b.service": WANTED},
            "disable b.service",
            {"multi-user.target.wants/a.service": "a.service"},
            id="one of two",
        ),
        pytest.param({"a.service": "[Service]\n"}, "", {}, id="nothing to enable"),
        pytest.param(
            {"a.service": "[Install]\nAlias=dbus-org.a.service\nAlso=a.socket", "a.socket": WANTED},
            "enable a.service\ndisable *",
            {
                "dbus-org.a.service": "a.service",
                "multi-user.target.wants/a.socket": "a.socket",
            },
            id="alias, and what comes with it",
        ),
        pytest.param(
            {"t@.service": "[Install]\nWantedBy=x.target\nDefaultInstance=one"},
            "enable t@.service",
            {"x.target.wants/t@one.service": "t@.service"},
            id="default instance",
        ),
        pytest.param(
            {"t@.service": WANTED},
            "enable t@.service",
            {},
            id="a template alone",
        ),
        pytest.param(
            {"t@.service": "[Install]\nWantedBy=dev-%i.device"},
            "enable t@.service b c",
            {
                "dev-b.device.wants/t@b.service": "t@.service",
                "dev-c.device.wants/t@c.service": "t@.service",
            },
            id="instances of a rule, with specifiers",
        ),
        pytest.param(
            {"getty@.service": "[Install]\nWantedBy=getty.target\nDefaultInstance=tty1"},
            "enable getty@tty2.service\ndisable *",
            {"getty.target.wants/getty@tty2.service": "getty@.service"},
            id="an instance by its whole name",
        ),
        pytest.param(
            {"a.service": "[Install]\nAlso=b.service", "b.service": "[Install]\nAlso=a.service"},
            "",
            {},
            id="a circle ends",
        ),
    ],
)
def test_links(units: dict[str, str], preset: str, expected: dict[str, str]) -> None:
    installs = {name: parse_install([text], name) for name, text in units.items()}
    assert links(installs, parse_presets({"1.preset": preset})) == expected


def test_two_units_with_one_alias() -> None:
    install = Install(alias=("display.service",))
    with pytest.raises(DataError, match=r"a\.service and b\.service"):
        links({"a.service": install, "b.service": install}, ())


def test_a_specifier_only_a_machine_knows() -> None:
    install = Install(wanted=(("wants", "%H.target"),))
    with pytest.raises(DataError, match="%H"):
        links({"a.service": install}, ())
