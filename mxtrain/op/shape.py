"""Partial shapes: a tuple with 0 for an unknown axis, or None for an unknown rank."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int, ...] | None
Shapes = list[Shape]


class Mismatch(Exception):
    """Two shapes that contradict each other; the graph adds the node to the message."""


def is_complete(shape: Shape) -> bool:
    """Whether every axis is known.

    >>> is_complete((2, 3)), is_complete((0, 3)), is_complete(None)
    (True, False, False)
    """
    return shape is not None and 0 not in shape


def merge(a: Shape, b: Shape) -> Shape:
    """Return what two partial shapes say together; Mismatch when they contradict.

    >>> merge((0, 3), (2, 0))
    (2, 3)
    """
    if a is None or b is None:
        return a if b is None else b
    if len(a) != len(b):
        raise Mismatch(f"{show(a)} has {len(a)} axes, {show(b)} has {len(b)}")
    return tuple(merge_axis(x, y) for x, y in zip(a, b, strict=True))


def merge_axis(a: int, b: int) -> int:
    """Return what two partial axis lengths say together (0 is unknown)."""
    if a and b and a != b:
        raise Mismatch(f"an axis of {a} against one of {b}")
    return a or b


def size(axes: Sequence[int]) -> int:
    """Return the number of elements, or 0 when an axis is unknown."""
    total = 1
    for axis in axes:
        total *= axis
    return total


def axis_of(axis: int, ndim: int, allow_end: bool = False) -> int:
    """Return a negative or positive axis number as a positive one; Mismatch when out of range."""
    limit = ndim + 1 if allow_end else ndim
    if not -limit <= axis < limit:
        raise Mismatch(f"axis {axis} of an array with {ndim} axes")
    return axis % limit


def broadcast(a: Shape, b: Shape) -> Shape:
    """Return the shape two arrays broadcast to (NumPy's rule); None while it is not known.

    >>> broadcast((2, 1), (3,))
    (2, 3)
    """
    if a is None or b is None:
        return None
    rank = max(len(a), len(b))
    a, b = (1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b
    return tuple(_broadcast_axis(x, y, a, b) for x, y in zip(a, b, strict=True))


def _broadcast_axis(x: int, y: int, a: tuple[int, ...], b: tuple[int, ...]) -> int:
    if x == y or y == 1:
        return x
    if x == 1:
        return y
    if 0 in (x, y):
        return max(x, y)
    raise Mismatch(f"{show(a)} and {show(b)} do not broadcast: an axis of {x} against one of {y}")


def show(shape: Shape) -> str:
    """Return a partial shape as text, with ``?`` for what is unknown.

    >>> show((0, 3)), show(None)
    ('(?, 3)', '(unknown)')
    """
    if shape is None:
        return "(unknown)"
    inside = ", ".join("?" if axis == 0 else str(axis) for axis in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"
