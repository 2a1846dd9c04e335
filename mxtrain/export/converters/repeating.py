"""Operators that repeat an array, whole or along its axes."""

from __future__ import annotations

from mxtrain.export.axes import Axes, Free
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.broadcast import BroadcastLike, Expand
from mxtrain.op.joining import Repeat, Tile
from mxtrain.op.shape import axis_of


@converts(Tile)
def tile(c: Conversion, op: Tile) -> list[Value]:
    """Repetitions per axis; missing axes are put in front."""
    data, axes = c.inputs[0], c.input_axes[0]
    rank = len(c.output_axes[0])
    if rank > len(axes):
        data = c.emit("Unsqueeze", data, c.integers(*range(rank - len(axes))))
    reps = [1] * (rank - len(op.reps)) + list(op.reps)
    return [c.emit("Tile", data, c.integers(*reps))]


@converts(Repeat)
def repeat(c: Conversion, op: Repeat) -> list[Value]:
    """Each element repeated: an axis of repetitions behind the axis, then both seen as one."""
    data, axes = c.inputs[0], c.input_axes[0]
    if op.axis is None:
        data, place, rank = c.emit("Reshape", data, c.integers(-1)), 0, 1
    else:
        place, rank = axis_of(op.axis, len(axes)), len(axes)
    data = c.emit("Unsqueeze", data, c.integers(place + 1))
    reps = [op.repeats if axis == place + 1 else 1 for axis in range(rank + 1)]
    repeated = c.emit("Tile", data, c.integers(*reps))
    if op.axis is None:
        return [c.emit("Reshape", repeated, c.integers(-1))]
    inner: Axes = (*axes[: place + 1], op.repeats, *axes[place + 1 :])
    return [c.reshape(repeated, inner, c.output_axes[0])]


@converts(Expand)
def expand(c: Conversion, op: Expand) -> list[Value]:
    """Axes of size 1 repeated to sizes that are known, or that the other input has."""
    old, new = c.input_axes[0], c.output_axes[0]
    if old == new:
        return [c.inputs[0]]
    sizes = [_size(c, op, place) for place in range(len(new))]
    if all(isinstance(size, int) for size in sizes):
        return [c.emit("Expand", c.inputs[0], c.integers(*[s for s in sizes if type(s) is int]))]
    parts = [c.integers(size) if isinstance(size, int) else size for size in sizes]
    return [c.emit("Expand", c.inputs[0], c.emit("Concat", *parts, axis=0))]


def _size(c: Conversion, op: Expand, place: int) -> int | Value:
    """Return the size an axis is repeated to; 1 leaves it as it is."""
    old, new = c.input_axes[0][place], c.output_axes[0][place]
    if old == new:
        return 1
    if not isinstance(new, Free):
        return new
    if not isinstance(op, BroadcastLike):
        raise c.fixed("an axis is repeated as often as the batch has rows")
    theirs = place
    if op.lhs_axes is not None and op.rhs_axes is not None:
        ours = [axis_of(axis, len(c.input_axes[0])) for axis in op.lhs_axes]
        theirs = axis_of(op.rhs_axes[ours.index(place)], len(c.input_axes[1]))
    return c.emit("Gather", c.emit("Shape", c.inputs[1]), c.integers(theirs), axis=0)
