"""From the annotation of a setting to pydantic's checker.

The types that settings usually have are put into a schema for `pydantic_core` here, which starts
four times as fast as the whole of pydantic; a plugin's less usual types are left to `TypeAdapter`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mxtrain.settings import EPOCHS, Registered, Updates

BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_RANGES = (*BOUNDS, "multiple_of")
_LENGTHS = ("min_length", "max_length")

CoreSchema = dict[str, Any]


@cache
def checker(annotation: Any) -> Any:
    """Return what checks a JSON text against `annotation`; None for a Python object's type.

    None at the top of a union is left out: whether it is allowed, the caller knows.
    """
    from pydantic_core import SchemaValidator

    schema = core_schema(annotation)
    return None if schema is None else SchemaValidator(schema)


def core_schema(annotation: Any) -> CoreSchema | None:
    """Return pydantic's schema for the values of `annotation`; None when it knows none.

    A range applies to the numbers inside: of ``Annotated[float | None, Gt(0)]`` to the number if
    one is given, of a list to every item.
    """
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not NoneType]
        return _union([_core(member, {}) or _foreign(member) for member in members])
    if get_origin(annotation) is Annotated and NoneType in get_args(get_args(annotation)[0]):
        inner, *metadata = get_args(annotation)
        numbers = [member for member in get_args(inner) if member is not NoneType]
        return core_schema(Annotated[reduce(or_, numbers), *metadata])
    return _core(annotation, {}) or _foreign(annotation)


def _core(annotation: Any, limits: Mapping[str, Any]) -> CoreSchema | None:
    """Return the schema of a usual type, None for any other.

    `limits` are ranges and lengths from further out.
    """
    origin, inner = get_origin(annotation), get_args(annotation)
    ranges = {key: value for key, value in limits.items() if key in (*_RANGES, _IN_EPOCHS)}
    lengths = {key: value for key, value in limits.items() if key in _LENGTHS}
    if origin is Annotated:
        found = _limits(inner[1:])
        return None if found is None else _core(inner[0], {**limits, **found})
    if annotation in _NUMBERS:
        in_epochs = ranges.pop(_IN_EPOCHS, False)
        number = {**_NUMBERS[annotation], **ranges}
        return _union([number, _EPOCHS_TEXT]) if in_epochs else number
    if annotation in _SIMPLE:
        return _SIMPLE[annotation] | (lengths if annotation is str else {})
    if origin is Literal:
        return {"type": "literal", "expected": list(inner)}
    if origin in (Union, UnionType):
        return _union([_core(member, limits) for member in inner])
    if origin is list or (origin is tuple and inner[-1:] == (Ellipsis,)):
        items = _core(inner[0], ranges)
        return items and _list(origin, items, lengths)
    if origin is tuple:
        each = [_core(item, ranges) for item in inner]
        return {"type": "tuple", "items_schema": each} if all(each) else None
    if origin is dict and inner[0] is str:
        values = _core(inner[1], ranges)
        return values and {"type": "dict", "values_schema": values, **lengths}
    return None


_IN_EPOCHS = "in_epochs"
_EPOCHS_TEXT: CoreSchema = {"type": "str", "strict": True, "pattern": f"^{EPOCHS}$"}
_NUMBERS: dict[Any, CoreSchema] = {
    float: {"type": "float", "strict": True, "allow_inf_nan": False},
    int: {"type": "int", "strict": True},
}
_SIMPLE: dict[Any, CoreSchema] = {
    bool: {"type": "bool", "strict": True},
    str: {"type": "str", "strict": True},
    NoneType: {"type": "none"},
    Any: {"type": "any"},
    list: {"type": "list"},
    dict: {"type": "dict"},
    tuple: {"type": "tuple", "items_schema": [{"type": "any"}], "variadic_item_index": 0},
}


def _list(origin: type, items: CoreSchema, lengths: Mapping[str, Any]) -> CoreSchema:
    if origin is list:
        return {"type": "list", "items_schema": items, **lengths}
    return {"type": "tuple", "items_schema": [items], "variadic_item_index": 0, **lengths}


def _union(members: list[CoreSchema | None]) -> CoreSchema | None:
    if None in members:
        return None
    if len(members) == 1:
        return members[0]
    return {"type": "union", "choices": members}


def _limits(metadata: tuple[Any, ...]) -> dict[str, Any] | None:
    """Return the ranges and lengths among `metadata`; None when something else is there."""
    found: dict[str, Any] = {}
    for entry in metadata:
        if isinstance(entry, Updates):
            found[_IN_EPOCHS] = True
        if isinstance(entry, str | Updates | Registered):
            continue
        here = {
            key: getattr(entry, key)
            for key in (*_RANGES, *_LENGTHS)
            if getattr(entry, key, None) is not None
        }
        if not here and not hasattr(entry, "min_length"):
            return None
        found |= here
    return found


def _foreign(annotation: Any) -> CoreSchema | None:
    """Return what pydantic makes of an unusual type; None when it knows no schema for it."""
    from pydantic import PydanticUserError, TypeAdapter

    try:
        schema = TypeAdapter(annotation).core_schema
    except (PydanticUserError, NameError, TypeError):
        return None  # a class of ours or of a plugin, or a name that is imported for checks only
    return None if schema["type"] == "callable" else dict(schema)
