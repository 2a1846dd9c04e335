"""Reads a component: a registered class by name, with settings of that class."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any

from mxtrain.config import plugins
from mxtrain.config.document import Node
from mxtrain.config.section import (
    BAD,
    Context,
    Reader,
    joined,
    missing_text,
    read_values,
    report_unknown,
    settings_by_name,
)
from mxtrain.config.spec import Component
from mxtrain.errors import closest
from mxtrain.registry import Registry
from mxtrain.settings import Registered, Setting

_ARTICLE = {"initializer": "an", "optimizer": "an", "operator": "an"}


def read_component(
    node: Node,
    path: str,
    context: Context,
    registry: Registry[Any],
    managed: Mapping[str, str],
    spellings: Mapping[str, str] | None = None,
) -> Any:
    """Return the `Component` that `node` names, or `BAD`.

    `managed` are settings of the class that the tool itself gives, with where to set them instead;
    `spellings` are further names that are understood, with the registered name of each.
    """
    kind, article = registry.kind, _ARTICLE.get(registry.kind, "a")
    if isinstance(node.value, str):
        named, where = node, path
    elif node.is_mapping and "name" in node.value:
        named, where = node.value["name"], joined(path, "name")
    elif node.is_mapping:
        near = closest("name", [key for key in node.value if len(key) > 2])
        hint = f" (did you mean 'name' by '{near}'?)" if near else ""
        text = f"'name' is missing: which {kind}?{hint}"
        return context.bad(node, path, text)
    else:
        text = f"expected the name of {article} {kind}, or a mapping with 'name' and settings"
        return context.bad(node, path, f"{text}, received {node.shown()}")
    if not isinstance(named.value, str):
        text = f"expected the name of {article} {kind}, received {named.shown()}"
        return context.bad(named, where, text)
    cls = lookup(named, where, context, registry, spellings or {})
    if cls is BAD:
        return BAD
    settings = {}
    if node.is_mapping:
        settings = read_settings(cls, node, path, context, named.value, ("name",), managed)
    else:
        report_missing(cls, node, path, context, named.value, managed)
    return BAD if settings is BAD else Component(canonical(registry, cls), settings)


def lookup(
    node: Node, path: str, context: Context, registry: Registry[Any], spellings: Mapping[str, str]
) -> Any:
    """Return the class whose name `node` is, or `BAD` after noting that there is none."""
    name = spellings.get(node.value.lower(), node.value)
    if name not in registry:
        plugins.load_installed(context.problems, node.mark)
    if name in registry:
        return registry.get(name)
    known = sorted({*registry.names(), *spellings})
    near = closest(name, {*registry.spellings(), *spellings})
    command = f"mxtrain list-{registry.kind.replace('_', '-')}s"
    listed = f"known: {', '.join(known)}" if len(known) <= 30 else f"all of them: {command}"
    hint = f"did you mean '{near}'?" if near else listed
    return context.bad(node, path, f"unknown {registry.kind} {node.shown()} ({hint})")


def canonical(registry: Registry[Any], cls: type[Any]) -> str:
    """Return the name of `cls` as configs write it: a scheduler's without ``scheduler``."""
    name = registry.name_of(cls)
    short = name.removesuffix("scheduler")
    return short if short in registry else name


def read_settings(
    cls: type[Any],
    node: Node,
    path: str,
    context: Context,
    shown: str,
    reserved: tuple[str, ...],
    managed: Mapping[str, str],
) -> Any:
    """Return the settings of `cls` given in `node`, or `BAD`.

    `reserved` are keys of `node` that are not settings of the class.
    """
    before = len(context.problems)
    known = {key: s for key, s in settings_by_name(cls).items() if key not in reserved}
    given = Node(
        {key: child for key, child in node.value.items() if key not in reserved},
        node.mark,
        keys=node.keys,
    )
    elsewhere = {key: place for key, place in managed.items() if key in given.value}
    for key, place in elsewhere.items():
        context.problems.add(node.keys[key], joined(path, key), place)
        del given.value[key]
    known = {key: setting for key, setting in known.items() if key not in managed}
    values = read_values(known, given, path, context, _nested(known, context))
    guessed = report_unknown(given, path, context, known, f"unknown setting of {shown}")
    report_missing(cls, node, path, context, shown, {*guessed, *managed})
    return values if len(context.problems) == before else BAD


def _nested(known: Mapping[str, Setting], context: Context) -> dict[str, Reader]:
    """Return the readers of those settings that are registered classes."""

    def reader(mark: Registered) -> Reader:
        read = _read_list if mark.several else _read_one
        return lambda node, path: read(node, path, context, mark.registry)

    return {
        name: reader(mark)
        for name, setting in known.items()
        for mark in setting.constraints
        if isinstance(mark, Registered)
    }


def _read_list(node: Node, path: str, context: Context, registry: Registry[Any]) -> Any:
    """Return a list of mappings with ``name`` and settings, or `BAD`."""
    if not node.is_list or not node.value:
        text = f"expected a list of {registry.kind}s, each a name or a mapping with 'name'"
        return context.bad(node, path, f"{text}, received {node.shown()}")
    found = [
        _read_one(item, f"{path}[{number}]", context, registry)
        for number, item in enumerate(node.value)
    ]
    return BAD if any(item is BAD for item in found) else found


def _read_one(node: Node, path: str, context: Context, registry: Registry[Any]) -> Any:
    """Return a mapping with ``name`` and settings (None for nothing), or `BAD`."""
    if node.value is None:
        return None
    found = read_component(node, path, context, registry, {})
    return BAD if found is BAD else {"name": found.name, **found.settings}


def report_missing(
    cls: type[Any],
    node: Node,
    path: str,
    context: Context,
    shown: str,
    excused: Container[str],
) -> None:
    """Note every required setting of `cls` that the mapping (or bare name) `node` leaves out.

    `excused` are those that the tool gives itself, or that a misspelled key stands for.
    """
    given = node.value if node.is_mapping else {}
    for name, setting in settings_by_name(cls).items():
        if setting.required and name not in given and name not in excused:
            text = f"missing: {shown} needs it ({missing_text(setting)})"
            context.problems.add(node.mark, joined(path, name), text)
