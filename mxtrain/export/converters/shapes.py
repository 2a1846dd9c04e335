"""Operators that give the same elements in another shape or order."""

from __future__ import annotations

from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.reshape import ExpandDims, Flatten, Reshaping, Squeeze
from mxtrain.op.shape import axis_of
from mxtrain.op.transpose import Permutation


@converts(Reshaping)
def reshape(c: Conversion, op: Reshaping) -> list[Value]:
    """The output's shape, worked out here."""
    return [c.reshape(c.inputs[0], c.input_axes[0], c.output_axes[0])]


@converts(Flatten)
def flatten(c: Conversion, op: Flatten) -> list[Value]:
    """A matrix with the first axis as rows."""
    return [c.emit("Flatten", c.inputs[0], axis=1)]


@converts(ExpandDims)
def expand_dims(c: Conversion, op: ExpandDims) -> list[Value]:
    """One more axis of size 1."""
    axis = axis_of(op.axis, len(c.input_axes[0]), allow_end=True)
    return [c.emit("Unsqueeze", c.inputs[0], c.integers(axis))]


@converts(Squeeze)
def squeeze(c: Conversion, op: Squeeze) -> list[Value]:
    """Without some axes of size 1."""
    data = c.input_axes[0]
    if op.axis is None:
        gone = [place for place, axis in enumerate(data) if axis == 1]
    else:
        gone = [axis_of(axis, len(data)) for axis in op.axis]
    if not gone or len(gone) == len(data):
        return [c.reshape(c.inputs[0], data, c.output_axes[0])]
    return [c.emit("Squeeze", c.inputs[0], c.integers(*gone))]


@converts(Permutation)
def permute(c: Conversion, op: Permutation) -> list[Value]:
    """Axes in another order."""
    return [c.emit("Transpose", c.inputs[0], perm=list(op.order(len(c.input_axes[0]))))]
