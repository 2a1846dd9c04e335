"""Operators that take a part of an array."""

from __future__ import annotations

import numpy as np

from mxtrain.export.axes import BATCHES, Axes
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.shape import axis_of
from mxtrain.op.slicing import Part, SliceChannel

_LIMITS = np.iinfo(np.int64)


@converts(Part)
def part(c: Conversion, op: Part) -> list[Value]:
    """Slices of the axes that are cut; open ends are the least or greatest whole number."""
    axes = c.input_axes[0]
    index = op.index(_some_shape(axes))
    cut = [number for number, piece in enumerate(index) if piece != slice(None)]
    if not cut:
        return [c.inputs[0]]
    steps = [index[number].step or 1 for number in cut]
    starts = [
        _bound(index[number].start, step < 0) for number, step in zip(cut, steps, strict=True)
    ]
    stops = [_bound(index[number].stop, step > 0) for number, step in zip(cut, steps, strict=True)]
    numbers = [c.integers(*values) for values in (starts, stops, cut, steps)]
    return [c.emit("Slice", c.inputs[0], *numbers)]


def _some_shape(axes: Axes) -> tuple[int, ...]:
    """Return the shape at the first batch size tried: slices do not depend on it."""
    return tuple(axis if isinstance(axis, int) else axis[0] for axis in axes)


def _bound(given: int | None, greatest: bool) -> int:
    if given is not None:
        return given
    return _LIMITS.max if greatest else _LIMITS.min


@converts(SliceChannel)
def split(c: Conversion, op: SliceChannel) -> list[Value]:
    """Equal pieces of an axis."""
    data, axes = c.inputs[0], c.input_axes[0]
    axis = axis_of(op.axis, len(axes))
    length = axes[axis]
    if op.num_outputs == 1:
        pieces = [data]
    elif isinstance(length, int):
        sizes = c.integers(*[length // op.num_outputs] * op.num_outputs)
        pieces = c.emit_many("Split", op.num_outputs, data, sizes, axis=axis)
    else:
        raise c.fixed(f"a batch of {BATCHES[0]} rows is not cut into {op.num_outputs} pieces")
    if op.squeeze_axis:
        pieces = [c.emit("Squeeze", piece, c.integers(axis)) for piece in pieces]
    return pieces
