"""Operator attributes: from Python values to MXNet's texts and back to checked values.

A graph stores attributes as texts (``num_hidden="8"``, ``kernel="(3, 3)"``), the ``str()`` of what
the user passed. Every operator, whether called in Python or read from a file, parses those texts by
the types its class declares, so both ways accept and refuse the same things.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from mxtrain.errors import MXNetError, closest
from mxtrain.settings import Setting, settings

DTYPES = ("float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool")
DType = Literal["float32", "float64", "float16", "uint8", "int32", "int8", "int64", "bool"]

_INTEGER = re.compile(r"\s*[+-]?\d+\s*\Z")
_BRACKETS = re.compile(r"\s*(?:\((.*)\)|\[(.*)\])\s*\Z", re.DOTALL)


def to_text(value: Any) -> str:
    """Return the text MXNet stores for an attribute value.

    >>> to_text((3, 3)), to_text(True), to_text(None), to_text(1e-5), to_text("relu")
    ('(3, 3)', 'True', 'None', '1e-05', 'relu')
    """
    if isinstance(value, type) or type(value).__name__.endswith("DType"):
        import numpy as np  # only a NumPy type gets here, so it is imported already

        return str(np.dtype(value).name)
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(value, tuple):
        value = tuple(item.item() if hasattr(item, "item") else item for item in value)
    elif hasattr(value, "item") and not isinstance(value, str):
        value = value.item()
    return str(value)


def parse_attributes(cls: type[Any], operator: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the checked value of every attribute of operator class `cls`.

    Raises MXNetError for an unknown name, a missing required attribute, a text that is not of the
    attribute's type, or a value out of range.
    """
    known = _settings_by_name(cls)
    for name in texts:
        if name not in known:
            near = closest(name, known)
            hint = f" (did you mean '{near}'?)" if near else ""
            listed = ", ".join(known) or "none"
            raise MXNetError(
                f"{operator} has no attribute '{name}'{hint}; its attributes are: {listed}"
            )
    values = {}
    for name, setting in known.items():
        if name in texts:
            values[name] = parse_text(setting, texts[name], operator)
        elif setting.required:
            raise MXNetError(f"{operator} needs the attribute '{name}' ({describe(setting)})")
        else:
            values[name] = setting.default
    return values


_read: dict[type[Any], dict[str, Setting]] = {}


def _settings_by_name(cls: type[Any]) -> dict[str, Setting]:
    if cls not in _read:
        _read[cls] = {setting.name: setting for setting in settings(cls)}
    return _read[cls]


def parse_text(setting: Setting, text: str, operator: str) -> Any:
    """Return the value that `text` stands for; MXNetError when it does not fit the setting."""
    try:
        value = _parse(setting.plain_type, text)
        _check_range(setting.constraints, value)
    except ValueError as error:
        reason = f": {error}" if str(error) else ""
        raise MXNetError(
            f"{operator}: attribute {setting.name}='{_shortened(text)}' is not "
            f"{describe(setting)}{reason}"
        ) from None
    return value


def _shortened(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}..."


def describe(setting: Setting) -> str:
    """Say what values a setting takes, in words."""
    return _describe_type(setting.plain_type) + _describe_range(setting.constraints)


def _parse(kind: Any, text: str) -> Any:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        members = get_args(kind)
        if NoneType in members and text.strip() == "None":
            return None
        return _parse_first([m for m in members if m is not NoneType], text)
    if origin is Literal:
        choices = get_args(kind)
        if text not in choices:
            near = closest(text, map(str, choices))
            raise ValueError(f"did you mean '{near}'?" if near else "")
        return text
    if origin is tuple:
        return _parse_tuple(get_args(kind)[0], text)
    return _PARSERS[kind](text)


def _parse_first(kinds: list[Any], text: str) -> Any:
    for kind in kinds[:-1]:
        try:
            return _parse(kind, text)
        except ValueError:
            continue
    return _parse(kinds[-1], text)


def _parse_bool(text: str) -> bool:
    words = {"true": True, "1": True, "false": False, "0": False}
    if text.strip().lower() not in words:
        raise ValueError
    return words[text.strip().lower()]


def _parse_int(text: str) -> int:
    if not _INTEGER.match(text):
        raise ValueError
    return int(text)


def _parse_float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError from None


_PARSERS: dict[Any, Callable[[str], Any]] = {
    bool: _parse_bool,
    int: _parse_int,
    float: _parse_float,
    str: str,
}


def _parse_tuple(kind: Any, text: str) -> tuple[Any, ...]:
    inside = _BRACKETS.match(text)
    if inside is None:
        return (_parse(kind, text),)
    items = (inside[1] if inside[1] is not None else inside[2]).split(",")
    if items and not items[-1].strip():
        items.pop()
    return tuple(_parse(kind, item.strip()) for item in items)


def _check_range(constraints: tuple[Any, ...], value: Any) -> None:
    if value is None:
        return
    for member in value if isinstance(value, tuple) else (value,):
        for constraint in constraints:
            for name, holds in _COMPARISONS.items():
                bound = getattr(constraint, name, None)
                if bound is not None and member is not None and not holds(member, bound):
                    raise ValueError


_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "ge": operator.ge,
    "gt": operator.gt,
    "le": operator.le,
    "lt": operator.lt,
}
_SIGNS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}


def _describe_range(constraints: tuple[Any, ...]) -> str:
    parts = [
        f"{sign} {getattr(constraint, name)}"
        for constraint in constraints
        for name, sign in _SIGNS.items()
        if getattr(constraint, name, None) is not None
    ]
    return " " + " and ".join(parts) if parts else ""


def _describe_type(kind: Any) -> str:
    origin = get_origin(kind)
    if origin in (Union, UnionType):
        return " or ".join(_describe_type(member) for member in get_args(kind))
    if origin is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if origin is tuple:
        return "a tuple of " + _describe_type(get_args(kind)[0]).removeprefix("an ") + "s"
    names = {bool: "True or False", int: "an integer", float: "a number", str: "text"}
    return "None" if kind is NoneType else names.get(kind, str(kind))
