"""Everything that has a name in a config, of whatever kind, for the listing commands."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxtrain.registry import Registry
    from mxtrain.settings import Setting

KINDS = {
    "optimizer": "mxtrain.optimizer",
    "initializer": "mxtrain.initializer",
    "lr-scheduler": "mxtrain.lr_scheduler",
    "operator": "mxtrain.op",
    "metric": "mxtrain.metric",
}
"""The module of each kind, which holds its ``registry``."""


PLUGIN_GROUP = "mxtrain.plugins"


@dataclass(frozen=True)
class Entry:
    """A registered class under its name."""

    kind: str
    name: str
    aliases: tuple[str, ...]
    cls: type[Any]

    @property
    def docstring(self) -> str:
        """The docstring of the class itself, without indentation; empty when it has none."""
        return inspect.cleandoc(self.cls.__dict__.get("__doc__") or "")

    @property
    def meaning(self) -> str:
        """The first line of the docstring."""
        return self.docstring.partition("\n")[0]

    def settings(self) -> tuple[Setting, ...]:
        """Return what the class can be given in a config."""
        from mxtrain.settings import settings

        return settings(self.cls)


def registry_of(kind: str) -> Registry[Any]:
    """Return the registry of `kind`, one of `KINDS`."""
    registry: Registry[Any] = import_module(KINDS[kind]).registry
    return registry


def entries(kind: str) -> list[Entry]:
    """Return everything registered as `kind`, by name."""
    load_installed_plugins()
    registry = registry_of(kind)
    return [_entry(kind, registry, name) for name in sorted(registry.names(), key=str.lower)]


def find(name: str, kinds: tuple[str, ...] = tuple(KINDS)) -> list[Entry]:
    """Return what `name` stands for in each of `kinds`."""
    load_installed_plugins()
    found = []
    for kind in kinds:
        registry = registry_of(kind)
        spelling = _spelling(registry, name)
        if spelling is not None:
            found.append(_entry(kind, registry, registry.name_of(registry.get(spelling))))
    return found


def nearest(name: str, kinds: tuple[str, ...] = tuple(KINDS)) -> list[tuple[str, str]]:
    """Return (kind, name) of the spellings most like the unknown `name`, at most one per kind."""
    from mxtrain.errors import closest

    near = ((kind, closest(name, registry_of(kind).spellings())) for kind in kinds)
    return [(kind, spelling) for kind, spelling in near if spelling is not None]


def load_installed_plugins() -> None:
    """Register what installed packages offer; ConfigErrors names those that fail."""
    from importlib.metadata import entry_points

    if not entry_points(group=PLUGIN_GROUP):
        return  # the config room, which loads them, need not be imported
    from mxtrain.config.plugins import load_installed
    from mxtrain.config.problem import Mark, Problems

    problems = Problems()
    load_installed(problems, Mark(f"entry points '{PLUGIN_GROUP}'"))
    problems.raise_if_any()


def _spelling(registry: Registry[Any], name: str) -> str | None:
    """`name` as the registry spells it; where case counts, another case is understood if unique."""
    if name in registry:
        return name
    same = [spelling for spelling in registry.spellings() if spelling.lower() == name.lower()]
    return same[0] if len(same) == 1 else None


def _entry(kind: str, registry: Registry[Any], name: str) -> Entry:
    return Entry(kind, name, tuple(registry.aliases_of(name)), registry.get(name))
