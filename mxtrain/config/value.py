"""Checks one value against the annotation of its setting, and says in words what is allowed.

Types and ranges are checked by pydantic in strict mode (a whole number is accepted where any
number is), on the value as JSON, so that lists may stand for tuples. Its findings are put into one
form: rule, value received, what to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from mxtrain.config.checker import BOUNDS, checker
from mxtrain.config.document import Node
from mxtrain.config.problem import Mark
from mxtrain.config.scalar import boolean_hint, number_hint
from mxtrain.errors import closest
from mxtrain.settings import Updates

Finding = tuple[Mark, str, str]  # where, the index inside the value ("[2]" or ""), what is wrong

_WORDS: dict[Any, tuple[str, str]] = {  # one, several
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    bool: ("true or false", "true or false"),
    str: ("text", "texts"),
    NoneType: ("nothing", "nothing"),
    Callable: ("a Python function", "Python functions"),
    dict: ("a mapping", "mappings"),
    list: ("a list", "lists"),
    tuple: ("a list", "lists"),
    Any: ("any value", "values"),
}
_RANGE_ERRORS = frozenset(
    ("greater_than_equal", "greater_than", "less_than_equal", "less_than", "multiple_of")
)
_LENGTH_ERRORS = frozenset(("too_short", "too_long", "string_too_short", "string_too_long"))


def check(annotation: Any, node: Node) -> tuple[Any, list[Finding]]:
    """Return the value of `node` as `annotation` wants it, and what is wrong with it."""
    if node.value is None and allows_none(annotation):
        return None, []
    adapter = checker(annotation)
    if adapter is None:
        return None, [(node.mark, "", "cannot be set in a config; it takes a Python object")]
    from pydantic_core import ValidationError

    try:
        value = adapter.validate_json(json.dumps(node.plain()), strict=True)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        return None, _findings(annotation, node, found)
    # A whole number stays one where any number is accepted: it is shown and stored as written.
    return (node.value if value == node.value else value), []


def can_be_set(annotation: Any) -> bool:
    """Whether values of this type can be written in a config at all."""
    return checker(annotation) is not None


def _findings(annotation: Any, node: Node, found: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """Put pydantic's errors into our words, one for each place in the value.

    Of a union, pydantic reports every branch; what is wrong inside is said rather than that the
    whole is not of the other branch.
    """
    places: dict[tuple[int | str, ...], set[str]] = {}
    for entry in found:
        places.setdefault(_place(node, entry["loc"]), set()).add(entry["type"])
    if len(places) > 1:
        places.pop((), None)
    return [_finding(annotation, node, place, kinds) for place, kinds in places.items()]


def _place(node: Node, location: Sequence[int | str]) -> tuple[int | str, ...]:
    """Return the steps of pydantic's location that lead into `node`, without names of branches."""
    steps: list[int | str] = []
    for step in location:
        inside = node.value
        found = (node.is_mapping and step in inside) or (
            node.is_list and isinstance(step, int) and step < len(inside)
        )
        if found:
            steps.append(step)
            node = inside[step]
    return tuple(steps)


def _finding(annotation: Any, node: Node, place: tuple[int | str, ...], kinds: set[str]) -> Finding:
    inner, where = node, ""
    for step in place:
        inner = inner.value[step]
        where += f"[{step}]" if isinstance(step, int) else f".{step}"
    wanted = _inside(annotation) if place else annotation
    if kinds & _RANGE_ERRORS:
        text = f"must be {bounds(annotation)}, received {inner.shown()}"
    elif kinds & _LENGTH_ERRORS:
        text = f"must have {_lengths(annotation)}, received {inner.shown()}"
    elif kinds == {"finite_number"}:
        text = f"must be a finite number, received {inner.shown()}"
    elif kinds == {"literal_error"} and isinstance(inner.value, str):
        text = _not_a_choice(_choices(annotation), inner)
    else:
        words = describe(wanted).removesuffix(" or nothing") + _epochs_words(annotation)
        text = f"expected {words}, received {inner.shown()}{_hint(wanted, inner)}"
    return inner.mark, where, text


def _epochs_words(annotation: Any) -> str:
    """Say that a count may be stated in epochs, where it may."""
    counts = any(isinstance(mark, Updates) for mark in _constraints(annotation))
    return " of updates, or epochs such as 3 epochs" if counts else ""


def _not_a_choice(choices: Sequence[Any], node: Node) -> str:
    names = [str(choice) for choice in choices]
    near = closest(str(node.value), names)
    hint = f"did you mean '{near}'? " if near else ""
    return f"unknown value {node.shown()} ({hint}allowed: {', '.join(names)})"


def _hint(annotation: Any, node: Node) -> str:
    """Say how to write what was probably meant, in brackets."""
    kinds = set(_kinds(annotation))
    hint = ""
    if kinds & {int, float} and isinstance(node.value, str):
        hint = number_hint(node.value)
    elif int in kinds and isinstance(node.value, float) and node.value.is_integer():
        hint = f"write {int(node.value)}"
    elif kinds & {bool}:
        hint = boolean_hint(node.plain())
    elif str in kinds and isinstance(node.value, bool | int | float):
        hint = f"put it in quotes: '{node.text}'"
    elif list in kinds and not node.is_list and not node.is_mapping and node.value is not None:
        hint = f"write [{node.text}]"
    return f" ({hint})" if hint else ""


def describe(annotation: Any, several: bool = False) -> str:
    """Say what values `annotation` takes.

    >>> describe(float | None), describe(list[int]), describe(Literal["in", "out"])
    ('a number or nothing', 'a list of whole numbers', 'one of: in, out')
    """
    plain = _plain(annotation)
    origin = get_origin(plain)
    if origin is Literal:
        return "one of: " + ", ".join(map(str, get_args(plain)))
    if origin in (Union, UnionType):
        texts = [describe(member, several) for member in get_args(plain)]
        if {"a number", "a whole number"} <= set(texts):
            texts.remove("a whole number")
        return " or ".join(dict.fromkeys(texts))
    if origin in (list, tuple, Sequence):
        inner = get_args(plain)
        what = describe(inner[0], several=True) if inner else "values"
        count = f"{len(inner)} " if origin is tuple and Ellipsis not in inner else ""
        return f"lists of {what}" if several else f"a list of {count}{what}"
    if origin is dict:
        return f"a mapping from names to {describe(get_args(plain)[1], several=True)}"
    known = _WORDS.get(origin or plain)
    return known[several] if known else getattr(plain, "__name__", str(plain))


def bounds(annotation: Any) -> str:
    """Say the range of `annotation` (empty when it has none).

    >>> from annotated_types import Ge, Lt
    >>> bounds(Annotated[float, Ge(0), Lt(1), "decay rate"])
    'at least 0 and below 1'
    """
    parts = [
        f"{word} {getattr(constraint, sign)}"
        for constraint in _constraints(annotation)
        for sign, word in BOUNDS.items()
        if getattr(constraint, sign, None) is not None
    ]
    parts += [
        f"a multiple of {constraint.multiple_of}"
        for constraint in _constraints(annotation)
        if getattr(constraint, "multiple_of", None) is not None
    ]
    return " and ".join(dict.fromkeys(parts))


def _lengths(annotation: Any) -> str:
    parts = []
    for constraint in _constraints(annotation):
        if getattr(constraint, "min_length", None):
            parts.append(f"at least {constraint.min_length} item(s)")
        if getattr(constraint, "max_length", None) is not None:
            parts.append(f"at most {constraint.max_length} item(s)")
    return " and ".join(parts) or describe(annotation).removeprefix("a list of ")


def _constraints(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        yield from (entry for entry in metadata if not isinstance(entry, str))
        yield from _constraints(inner)
    elif get_origin(annotation) is not Literal:
        for inner in get_args(annotation):
            yield from _constraints(inner)


def _kinds(annotation: Any) -> Iterator[Any]:
    """Yield the plain types a value may have; lists and tuples both as list."""
    plain = _plain(annotation)
    origin = get_origin(plain)
    if origin in (Union, UnionType):
        for member in get_args(plain):
            yield from _kinds(member)
    else:
        kind = origin or plain
        yield list if kind in (tuple, Sequence) else kind


def _choices(annotation: Any) -> list[Any]:
    plain = _plain(annotation)
    if get_origin(plain) is Literal:
        return list(get_args(plain))
    return [choice for inner in get_args(plain) for choice in _choices(inner)]


def _inside(annotation: Any) -> Any:
    """Return the type of the items of a list or mapping type."""
    plain = _plain(annotation)
    members = get_args(plain) if get_origin(plain) in (Union, UnionType) else (plain,)
    for member in members:
        if get_origin(_plain(member)) in (list, tuple, dict, Sequence):
            return get_args(_plain(member))[get_origin(_plain(member)) is dict]
    return annotation


def allows_none(annotation: Any) -> bool:
    """Whether `annotation` accepts None."""
    return NoneType in _kinds(annotation) or Any in _kinds(annotation)


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
