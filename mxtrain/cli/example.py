"""A line of a config for anything that is registered, made from its settings."""

from __future__ import annotations

from operator import ge, gt, le, lt
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from mxtrain.cli.catalog import Entry, registry_of
from mxtrain.cli.setting_text import value_text
from mxtrain.settings import Registered, Setting, Updates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mxtrain.registry import Registry

KEYS = {
    "optimizer": "optimizer: {}",
    "initializer": "initializer: {}",
    "lr-scheduler": "lr_scheduler: {}",
    "metric": "fit: {{metrics: [{}]}}",
}
"""Where a config has what is registered of each kind; an operator needs a whole network."""

TELLING = {"momentum": 0.9, "factor": 0.5}
"""Settings shown with a value that does something, where the default does nothing."""

MOST_SETTINGS = 3
_LONG, _SHORT = ("20 epochs", "5 epochs")


def example(entry: Entry) -> str:
    """Return a line that names `entry` in a config, with its required and first settings.

    Empty for operators, and for what a config cannot have: a metric made of a Python function.
    """
    if entry.kind not in KEYS:
        return ""
    from mxtrain.config.component import canonical
    from mxtrain.config.value import can_be_set

    settings = [setting for setting in entry.settings() if setting.name != "name"]
    needed = [setting for setting in settings if setting.required]
    if not all(can_be_set(setting.annotation) for setting in needed):
        return ""
    given = {setting.name: _sample(setting, number) for number, setting in enumerate(needed)}
    given |= {} if needed else _defaults(entry, settings)
    for setting in _own(entry, settings):
        if setting.name in TELLING and setting.default in (0, 1):
            given[setting.name] = TELLING[setting.name]
        elif setting.default and Updates() in setting.constraints:
            given.setdefault(setting.name, _sample(setting, len(given)))
    name = canonical(registry_of(entry.kind), entry.cls)
    return KEYS[entry.kind].format(_mapping({"name": name} | given))


def _own(entry: Entry, settings: Sequence[Setting]) -> list[Setting]:
    """Return the settings that the class does not inherit."""
    own = entry.cls.__dict__.get("_own_fields", {})
    if "__init__" in entry.cls.__dict__ and not own:
        return list(settings)  # they are the arguments of its constructor
    return [setting for setting in settings if setting.name in own]


def _defaults(entry: Entry, settings: Sequence[Setting]) -> dict[str, Any]:
    """Return the learning rate and the first own settings whose default is worth showing."""
    shown: dict[str, Any] = {}
    if getattr(entry.cls, "uses_rate", False):
        rate = next(setting.default for setting in settings if setting.name == "learning_rate")
        shown["learning_rate"] = 0.01 if rate is None else rate
    for setting in _own(entry, settings):
        plain = isinstance(setting.default, int | float | str)
        if plain and setting.default and setting.default is not True and setting.name != "base_lr":
            shown.setdefault(setting.name, _fitting(setting))
    return dict(list(shown.items())[:MOST_SETTINGS])


def _fitting(setting: Setting) -> Any:
    """Return the default, or a sample where a config may not give the default itself."""
    allowed = all(
        holds(setting.default, getattr(constraint, key))
        for constraint in setting.constraints
        for key, holds in (("ge", ge), ("gt", gt), ("le", le), ("lt", lt))
        if getattr(constraint, key, None) is not None
    )
    return setting.default if allowed else _plain_sample(setting)


def _sample(setting: Setting, number: int) -> Any:
    """Return a right value of a required setting, the `number`-th of its class."""
    for mark in setting.constraints:
        if isinstance(mark, Registered):
            return _components(mark.registry) if mark.several else None
        if isinstance(mark, Updates):
            several = get_origin(setting.plain_type) is list
            return [_SHORT, _LONG] if several else _SHORT if number else _LONG
    return _plain_sample(setting)


def _plain_sample(setting: Setting) -> Any:
    kind = setting.plain_type
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) in (list, tuple):
        return [2, 2]
    members = {kind, *get_args(kind)}
    if float in members or int in members:
        whole = 2 if int in members else 0.5
        return 64 if setting.name == "num_hidden" else whole
    return "float32" if setting.name == "dtype" else "text"


def _components(registry: Registry[Any]) -> list[Any]:
    """Return two entries of a registry for a setting that lists such: a bare name, and another."""
    from mxtrain.config.component import canonical
    from mxtrain.settings import settings

    bare: str = ""
    other: dict[str, Any] = {}
    for name in registry.names():
        cls = registry.get(name)
        needed = [setting for setting in settings(cls) if setting.required]
        if not needed and not bare:
            bare = canonical(registry, cls)
        elif len(needed) == 1 and not other:
            other = {"name": canonical(registry, cls), needed[0].name: _sample(needed[0], 0)}
    return [bare, other]


def _mapping(values: dict[str, Any]) -> str:
    return "{" + ", ".join(f"{key}: {_text(value)}" for key, value in values.items()) + "}"


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return _mapping(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return value_text(value)
