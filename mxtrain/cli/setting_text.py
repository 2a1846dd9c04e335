"""Settings in words: type, default and range as a user writes them in YAML."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from mxtrain.settings import Registered, Updates

if TYPE_CHECKING:
    from mxtrain.settings import Setting

_BOUNDS = (("ge", ">= "), ("gt", "> "), ("le", "<= "), ("lt", "< "))
_LENGTHS = (("min_length", "at least"), ("max_length", "at most"))


def default_text(setting: Setting) -> str:
    """Return the default as YAML has it, ``required`` when there is none."""
    return "required" if setting.required else value_text(setting.default)


def value_text(value: Any) -> str:
    """Return a value as YAML has it.

    >>> value_text(None), value_text(True), value_text(1e-8), value_text((1, 2)), value_text("")
    ('null', 'true', '1e-08', '[1, 2]', '""')
    """
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    return '""' if value == "" else str(value)


def kind_text(setting: Setting) -> str:
    """Return the type of a setting in words, with the form of its own that a config may use."""
    for mark in setting.constraints:
        if isinstance(mark, Updates):
            return f"{type_text(setting.plain_type)}, or epochs"
        if isinstance(mark, Registered):
            kind = mark.registry.kind
            return f"list of {kind}" if mark.several else f"{kind} or null"
    return type_text(setting.plain_type)


def type_text(annotation: Any) -> str:
    """Return a type in words.

    >>> type_text(float | None), type_text(Literal["in", "out"]), type_text(tuple[int, ...])
    ('float or null', 'in | out', 'list of int')
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(arguments[0])
    if origin is Literal:
        return " | ".join(value_text(value) for value in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(dict.fromkeys(map(type_text, arguments)))
    if origin in (list, tuple, set, frozenset):
        return "list of " + type_text(arguments[0]) if arguments else "list"
    if origin is dict:
        return "mapping"
    if annotation is type(None):
        return "null"
    if annotation is Any:
        return "any"
    name = getattr(origin or annotation, "__name__", None)
    return {"str": "text", "tuple": "list", "dict": "mapping"}.get(name or "", name or "any")


def range_text(setting: Setting) -> str:
    """Return the range of a setting, such as ``>= 0, < 1``; empty when there is none."""
    parts = []
    for constraint in _all_constraints(setting):
        for attribute, sign in _BOUNDS:
            bound = getattr(constraint, attribute, None)
            if bound is not None:
                parts.append(f"{sign}{value_text(bound)}")
        for attribute, words in _LENGTHS:
            length = getattr(constraint, attribute, None)
            if length:
                parts.append(f"{words} {length}")
    return ", ".join(dict.fromkeys(parts))


def _all_constraints(setting: Setting) -> list[Any]:
    """Those of the setting itself, then those within a union or list (``float | None``)."""
    found = list(setting.constraints)
    pending = [setting.plain_type]
    while pending:
        annotation = pending.pop()
        arguments = get_args(annotation)
        if get_origin(annotation) is Annotated:
            found += [item for item in arguments[1:] if not isinstance(item, str)]
            pending.append(arguments[0])
        elif get_origin(annotation) is not Literal:
            pending += arguments
    return found


def as_dict(setting: Setting) -> dict[str, Any]:
    """Return a setting for JSON output; ``default`` is left out where one must be given."""
    described = {
        "name": setting.name,
        "type": kind_text(setting),
        "required": setting.required,
        "range": range_text(setting),
        "meaning": setting.meaning,
    }
    if not setting.required:
        default = setting.default
        plain = default is None or isinstance(default, bool | int | float | str | list | tuple)
        described["default"] = default if plain else str(default)
    return described
