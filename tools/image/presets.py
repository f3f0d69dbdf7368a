"""Which units are enabled: systemd.preset(5) applied to the [Install] of every unit.

The result is the symbolic links that `systemctl preset-all` would make, as a mapping from
the link's path below the unit directory (`multi-user.target.wants/x.service`) to the unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tools.image.errors import DataError

_DIRECTORIES = {"WantedBy": "wants", "RequiredBy": "requires", "UpheldBy": "upholds"}
_KEYS = {*_DIRECTORIES, "Also", "Alias", "DefaultInstance"}
_SPECIFIER = re.compile(r"%(.)")


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of a preset file: what happens to units whose name matches."""

    action: str
    pattern: str
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Install:
    """The [Install] section of a unit and its drop-ins."""

    wanted: tuple[tuple[str, str], ...] = ()
    also: tuple[str, ...] = ()
    alias: tuple[str, ...] = ()
    default_instance: str = ""

    @property
    def does_something(self) -> bool:
        return bool(self.wanted or self.also or self.alias)


def parse_presets(files: Mapping[str, str]) -> tuple[Rule, ...]:
    """All rules, in the order they are asked; `files` holds texts by file name.

    Raises:
        DataError: a line is no rule.
    """
    rules = []
    for name in sorted(files):
        for number, line in enumerate(files[name].splitlines(), 1):
            words = line.split()
            if not words or words[0][0] in "#;":
                continue
            if words[0] not in ("enable", "disable", "ignore") or len(words) < 2:
                raise DataError(f"{name}:{number}: not a preset: {line.strip()}")
            rules.append(Rule(words[0], words[1], tuple(words[2:])))
    return tuple(rules)


def decide(rules: Iterable[Rule], unit: str) -> tuple[bool, tuple[str, ...]]:
    """Whether a unit is enabled, and for a template with which instances.

    The first rule that matches decides; a unit that no rule mentions is enabled, as in
    systemd.
    """
    for rule in rules:
        if fnmatchcase(unit, rule.pattern):
            return rule.action == "enable", rule.instances
    return True, ()


def parse_install(texts: Iterable[str], name: str) -> Install:
    """The [Install] of a unit file followed by its drop-ins; later lists add, "" clears.

    Raises:
        DataError: a key is unknown.
    """
    lists: dict[str, list[str]] = {key: [] for key in _KEYS}
    for text in texts:
        section = ""
        for line in _logical_lines(text):
            if line.startswith("["):
                section = line
                continue
            key, _, value = line.partition("=")
            key = key.strip()
            if section != "[Install]" or key.startswith("X-"):
                continue
            if key not in _KEYS:
                raise DataError(f"{name}: [Install] has an unknown key {key}")
            words = value.split()
            lists[key] = [*lists[key], *words] if words else []
    return Install(
        wanted=tuple((kind, word) for key, kind in _DIRECTORIES.items() for word in lists[key]),
        also=tuple(lists["Also"]),
        alias=tuple(lists["Alias"]),
        default_instance=lists["DefaultInstance"][-1] if lists["DefaultInstance"] else "",
    )


def _logical_lines(text: str) -> Iterable[str]:
    pending = ""
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("#", ";")) or not (line or pending):
            continue
        if line.endswith("\\"):
            pending += line[:-1] + " "
            continue
        yield (pending + line).strip()
        pending = ""


@dataclass(slots=True)
class _Enabler:
    units: Mapping[str, Install]
    links: dict[str, str] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)

    def enable(self, unit: str, source: str) -> None:
        """Make the links of `unit`, whose file is `source` (its template for an instance)."""
        install = self.units.get(source)
        if unit in self.done or install is None:
            return
        self.done.add(unit)
        stem, at, instance = unit.rpartition(".")[0].partition("@")
        suffix = unit.rpartition(".")[2]
        if at and not instance:
            instance = install.default_instance
            unit = f"{stem}@{instance}.{suffix}"
        if instance or not at:
            for kind, target in install.wanted:
                target = _expanded(target, unit, stem, instance)
                self._link(f"{target}.{kind}/{unit}", source)
        for alias in install.alias:
            alias = _expanded(alias, unit, stem, instance)
            if alias not in (unit, source):
                self._link(alias, source)
        for other in install.also:
            other = _expanded(other, unit, stem, instance)
            self.enable(other, template(other) if other not in self.units else other)

    def _link(self, path: str, unit: str) -> None:
        taken = self.links.setdefault(path, unit)
        if taken != unit:
            raise DataError(
                f"{taken} and {unit} both want to be {path}", "disable one of them in a preset"
            )


def template(unit: str) -> str:
    """`getty@tty1.service` → `getty@.service`; other names stay."""
    name, dot, suffix = unit.rpartition(".")
    stem, at, _ = name.partition("@")
    return f"{stem}@{dot}{suffix}" if at else unit


def _expanded(text: str, unit: str, prefix: str, instance: str) -> str:
    name = unit.rpartition(".")[0]
    values = {"i": instance, "j": prefix.rpartition("-")[2], "n": unit, "N": name, "p": prefix}

    def value(match: re.Match[str]) -> str:
        letter = match.group(1)
        if letter == "%":
            return "%"
        if letter not in values:
            raise DataError(f"{unit}: [Install] uses %{letter}, which only a machine knows")
        return values[letter]

    return _SPECIFIER.sub(value, text)


def links(units: Mapping[str, Install], rules: Iterable[Rule]) -> dict[str, str]:
    """The links that `systemctl preset-all` makes, by path; values are unit file names.

    A rule may also name an instance of a template in full (`enable getty@tty1.service`).

    Args:
        units: the [Install] of every unit file, templates included; no aliases, no masked
            units.
        rules: from `parse_presets`.

    Raises:
        DataError: two units want the same name, or an [Install] cannot be expanded.
    """
    enabler = _Enabler(units)
    ordered = tuple(rules)
    for unit in sorted({*units, *_named_instances(ordered, units)}):
        enabled, instances = decide(ordered, unit)
        if unit not in units and enabled:
            enabler.enable(unit, template(unit))
            continue
        if not enabled or not units[unit].does_something:
            continue
        name, _, suffix = unit.rpartition(".")
        for instance in instances if name.endswith("@") else ():
            enabler.enable(f"{name}{instance}.{suffix}", unit)
        if not (name.endswith("@") and instances):
            enabler.enable(unit, unit)
    return dict(sorted(enabler.links.items()))


def _named_instances(rules: Iterable[Rule], units: Mapping[str, Install]) -> set[str]:
    return {
        rule.pattern
        for rule in rules
        if rule.pattern not in units and "@" in rule.pattern and template(rule.pattern) in units
    }
