"""Where a mirror may be named, besides the host's own apt: environment, user, store.

Settings are shaped like the environment in all three places, so one reader serves them:
`STRAKE_MIRROR`, `STRAKE_DEBIAN_MIRROR`, `http_proxy`, `https_proxy`, `no_proxy`,
`SSL_CERT_FILE`, `SSL_CERT_DIR`. The user's
file is `config.toml` with `[mirror] content = …, debian = …`; `mirror.json` in the store is
what ./pants recorded of its environment, because sandboxed steps start with an empty one.
"""

from __future__ import annotations

import json
import os
import pwd
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tools.debian import aptsources
from tools.debian.errors import MirrorError

CONTENT = "STRAKE_MIRROR"
DEBIAN = "STRAKE_DEBIAN_MIRROR"
RECORD = "mirror.json"
ETC_APT = Path("/etc/apt")

_SCHEMES = ("http", "https", "no")


def layers(store: Path, env: Mapping[str, str]) -> list[tuple[str, Mapping[str, str]]]:
    """Every place that holds settings, first the one that wins, with its name.

    Raises:
        MirrorError: a file is there but cannot be understood.
    """
    config = config_path(env)
    record = store / RECORD
    return [
        ("the environment", env),
        (str(config), _user(config)),
        (str(record), _recorded(record)),
    ]


@dataclass(frozen=True, slots=True)
class Network:
    """How to get out: proxies by scheme (None: the environment's), and whom TLS trusts."""

    proxies: Mapping[str, str] | None = None
    cafile: str = ""
    capath: str = ""


def network(store: Path, env: Mapping[str, str], etc_apt: Path = ETC_APT) -> Network:
    """Proxies and certificates: the environment's, else the recorded ones, else apt's proxies.

    Raises:
        MirrorError: mirror.json is there but cannot be understood.
    """
    recorded = _recorded(store / RECORD)
    file, folder = (
        env.get(name, "") or recorded.get(name, "") for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")
    )
    if any(_proxy(env, scheme) for scheme in _SCHEMES):
        return Network(None, file, folder)
    for places in (recorded, aptsources.proxies(etc_apt)):
        found = {scheme: url for scheme in _SCHEMES if (url := _proxy(places, scheme))}
        if found:
            return Network(found, file, folder)
    return Network(None, file, folder)


def _proxy(values: Mapping[str, str], scheme: str) -> str:
    name = f"{scheme}_proxy"
    return values.get(name, "") or values.get(name.upper(), "")


def config_path(env: Mapping[str, str]) -> Path:
    """The user's file, found without HOME too: a sandboxed step has none."""
    base = env.get("XDG_CONFIG_HOME", "")
    if base.startswith("/"):
        return Path(base) / "strake" / "config.toml"
    home = env.get("HOME", "")
    if not home.startswith("/"):
        try:
            home = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            home = "/nonexistent"
    return Path(home) / ".config" / "strake" / "config.toml"


def _user(path: Path) -> Mapping[str, str]:
    try:
        table = tomllib.loads(path.read_text("utf-8")).get("mirror", {})
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return {}
    except (OSError, ValueError) as error:
        raise MirrorError(f"cannot read {path}: {error}", "correct or remove the file") from error
    if not isinstance(table, dict):
        raise MirrorError(f"{path}: mirror is not a table", "write [mirror] with debian = URL")
    names = {"content": CONTENT, "debian": DEBIAN}
    if extra := sorted(table.keys() - names.keys()):
        raise MirrorError(f"{path}: unknown key mirror.{extra[0]}", "known: content, debian")
    return {names[key]: str(value) for key, value in table.items()}


def _recorded(path: Path) -> Mapping[str, str]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise MirrorError(f"cannot read {path}: {error}", f"remove {path}") from error
    if not isinstance(data, dict):
        raise MirrorError(f"{path} is not an object", f"remove {path}")
    return {str(key): str(value) for key, value in data.items() if value}
