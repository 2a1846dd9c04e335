"""Shows how two files, graphs or runs differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TextIO

from mxtrain.console.fitting import Column, shortened, show_columns
from mxtrain.console.format import count, learning_rate
from mxtrain.console.glyphs import glyphs_for, write
from mxtrain.inspection.comparison import Change, Comparison
from mxtrain.inspection.difference import DIFFERENT, EQUAL, ArrayDifference


def show_comparison(found: Comparison, stream: TextIO) -> None:
    """Write what differs to `stream`, and in the end how much is equal."""
    if found.changes:
        _show_changes(found.changes, stream)
    if found.weights:
        write(stream, f"weights: A {found.weights[0]}, B {found.weights[1]}")
    unequal = [each for each in found.arrays if each.found != EQUAL]
    if unequal:
        _show_arrays(unequal, stream)
    write(stream, _summary(found))


def _show_changes(changes: Sequence[Change], stream: TextIO) -> None:
    dots = glyphs_for(stream).dots
    wide = 24 if stream.isatty() else 10**6
    columns = [
        Column("differs", [change.where for change in changes], right=False),
        Column("A", [shortened(_text(change.a), wide, dots) for change in changes], right=False),
        Column("B", [shortened(_text(change.b), wide, dots) for change in changes], right=False),
    ]
    show_columns(columns, stream)


def _text(value: Any) -> str:
    """A value on one line; what one side lacks is a dash."""
    if isinstance(value, dict):
        return ", ".join(f"{key}={_text(item)}" for key, item in value.items()) or "there"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return "-" if value is None else str(value)


def _show_arrays(arrays: Sequence[ArrayDifference], stream: TextIO) -> None:
    columns = [
        Column("array", [each.name for each in arrays], right=False),
        Column("is", [_found(each) for each in arrays], right=False),
        Column("largest", [_number(each.largest) for each in arrays]),
        Column("relative", [_number(each.largest_relative) for each in arrays]),
        Column("at", [_place(each) for each in arrays], 2, right=False),
    ]
    show_columns(columns, stream)


def _found(each: ArrayDifference) -> str:
    if each.found == DIFFERENT:
        return f"{count(each.differing)} of {count(each.size)} differ"
    if each.a and each.b:
        return f"{each.a} and {each.b}"
    return f"{each.found}: {each.a or each.b}"


def _number(value: float | None) -> str:
    return "-" if value is None else learning_rate(value)


def _place(each: ArrayDifference) -> str:
    return "" if each.place is None else f"[{','.join(map(str, each.place))}]"


def _summary(found: Comparison) -> str:
    if not found.arrays:
        return "equal" if found.is_equal else count(len(found.changes), "difference")
    equal = [each for each in found.arrays if each.found == EQUAL]
    same_bits = sum(each.bitwise for each in equal)
    parts = [f"{len(equal)} of {count(len(found.arrays), 'array')} equal"]
    if equal:
        parts.append("bit by bit" if same_bits == len(equal) else f"{same_bits} bit by bit")
    within = max((each.largest or 0.0 for each in equal), default=0.0)
    if within:
        parts.append(f"the others within {learning_rate(within)}")
    if found.changes:
        parts.append(f"{count(len(found.changes), 'other difference')}")
    return ", ".join(parts)
