"""Operators that put arrays together."""

from __future__ import annotations

from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.joining import Concat, Stack
from mxtrain.op.shape import axis_of


@converts(Concat)
def concat(c: Conversion, op: Concat) -> list[Value]:
    """Arrays one after the other along an axis."""
    return [c.emit("Concat", *c.inputs, axis=axis_of(op.dim, len(c.output_axes[0])))]


@converts(Stack)
def stack(c: Conversion, op: Stack) -> list[Value]:
    """Arrays one after the other along a new axis."""
    axis = axis_of(op.axis, len(c.output_axes[0]))
    parts = [c.emit("Unsqueeze", value, c.integers(axis)) for value in c.inputs]
    return [c.emit("Concat", *parts, axis=axis)]
