from __future__ import annotations

import pytest

from tools.image.errors import DataError
from tools.image.sysusers import Accounts, User, apply

DAY = 86400


def accounts(text: str, ids: dict[str, int] | None = None) -> Accounts:
    found = Accounts()
    apply(found, {"x.conf": text}, ids or {})
    return found


@pytest.mark.parametrize(
    ("text", "user", "group"),
    [
        pytest.param("u web 33", User("web", 33, 33), 33, id="a user brings its group"),
        pytest.param(
            'u web 33 "The web, really" /srv /bin/sh',
            User("web", 33, 33, "The web, really", "/srv", "/bin/sh"),
            33,
            id="quoted words",
        ),
        pytest.param("u! web 33", User("web", 33, 33, expired=True), 33, id="locked for good"),
        pytest.param("g web 7\nu web 33", User("web", 33, 7), 7, id="a group of the same name"),
        pytest.param("u web 33:7", User("web", 33, 7), None, id="group by number"),
        pytest.param("g x 7\nu web 33:x", User("web", 33, 7), None, id="group by name"),
        pytest.param("u web -", User("web", 41, 41), 41, id="number from the table"),
        pytest.param("u web -:x\ng x 7", User("web", 41, 7), None, id="table and group"),
        pytest.param("u web 33\nu web 34", User("web", 33, 33), 33, id="the first line wins"),
        pytest.param("# c\n\nr - 500-900\nu web 33 - -", User("web", 33, 33), 33, id="ranges"),
    ],
)
def test_users(text: str, user: User, group: int | None) -> None:
    found = accounts(text, {"web": 41})
    assert found.users["web"] == user
    assert found.groups.get("web") == group


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param("u web -", "web has no number", id="no number"),
        pytest.param("g web -", "web has no number", id="no number for a group"),
        pytest.param("u a 5\nu b 5", "wants 5, which is a's", id="number taken"),
        pytest.param("g a 5\ng b 5", "wants 5, which is a's", id="group number taken"),
        pytest.param("u a /etc", "cannot use /etc", id="a file's owner"),
        pytest.param("u a 5:nobodys", "which is nobody's", id="no such group"),
        pytest.param("m a b", "no user a", id="member of nothing"),
        pytest.param("x a b", "not a line", id="unknown kind"),
        pytest.param('u a 5 "', "x.conf:1", id="open quote"),
        pytest.param("u 9a 5", "not a line", id="bad name"),
    ],
)
def test_refusals(text: str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        accounts(text)


def test_the_four_files() -> None:
    found = accounts("u root 0 - /root /bin/bash\nu! d 7\nu core 500\ng adm 4\nm core adm\nm d adm")
    assert found.files(20000 * DAY + 5) == {
        "etc/passwd": (
            "root:x:0:0::/root:/bin/bash\n"
            "d:x:7:7::/:/usr/sbin/nologin\n"
            "core:x:500:500::/:/usr/sbin/nologin\n",
            0o644,
        ),
        "etc/group": ("root:x:0:\nadm:x:4:core,d\nd:x:7:\ncore:x:500:\n", 0o644),
        "etc/shadow": (
            "root:!*:20000::::::\nd:!*:20000::::::1:\n".replace("::::::1:", ":::::1:")
            + "core:!*:20000::::::\n",
            0o640,
        ),
        "etc/gshadow": ("root:!*::\nadm:!*::core,d\nd:!*::\ncore:!*::\n", 0o640),
    }


def test_files_of_several_packages_sort() -> None:
    found = Accounts()
    apply(found, {"90-b.conf": "u x 9", "10-a.conf": "u x 8"}, {})
    assert found.users["x"].uid == 8


def test_shadow_has_nine_fields() -> None:
    text, _ = accounts("u a 1\nu! b 2").files(0)["etc/shadow"]
    assert [line.count(":") for line in text.splitlines()] == [8, 8]


def test_masters_of_base_passwd() -> None:
    found = Accounts()
    found.add_masters("root:*:0:0:root:/root:/bin/bash\n", "root:*:0:\nadm:*:4:root\n")
    assert found.users["root"].shell == "/bin/bash"
    assert found.groups == {"root": 0, "adm": 4}
    assert found.members["adm"] == {"root"}
