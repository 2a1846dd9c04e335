"""Operators that choose elements by number, and by condition."""

from __future__ import annotations

from mxtrain.export.axes import Axis, Free
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.indexing import Embedding, OneHot, Pick, Take
from mxtrain.op.shape import axis_of
from mxtrain.op.where import Where


def positions(c: Conversion, source: Value, length: Axis, mode: str) -> Value:
    """Return whole numbers within an axis, with the meaning of `mode` of the operators."""
    if isinstance(length, Free):
        raise c.fixed("rows of the batch are chosen by number")
    index = c.cast(source, "int64")
    last, zero = c.constant(length - 1, "int64"), c.constant(0, "int64")
    if mode == "wrap":
        return c.emit("Mod", index, c.constant(length, "int64"))
    if mode == "clip":
        return c.emit("Clip", index, zero, last)
    # ONNX counts negative numbers from the end; outside it on the other side they are an error.
    outside = c.emit("Less", index, zero)
    return c.emit("Where", outside, c.constant(length, "int64"), index)


@converts(Embedding)
def embedding(c: Conversion, op: Embedding) -> list[Value]:
    """Rows of the table."""
    index = positions(c, c.inputs[0], op.input_dim, "clip")
    return [c.emit("Gather", c.inputs[1], index, axis=0)]


@converts(Take)
def take(c: Conversion, op: Take) -> list[Value]:
    """Elements along an axis."""
    axes = c.input_axes[0]
    axis = axis_of(op.axis, len(axes))
    index = positions(c, c.inputs[1], axes[axis], op.mode)
    return [c.emit("Gather", c.inputs[0], index, axis=axis)]


@converts(Pick)
def pick(c: Conversion, op: Pick) -> list[Value]:
    """One element along an axis for every position of the others."""
    data, axes = c.inputs[0], c.input_axes[0]
    axis = axis_of(op.axis, len(axes))
    index = positions(c, c.inputs[1], axes[axis], op.mode)
    if len(c.input_axes[1]) < len(axes):
        index = c.emit("Unsqueeze", index, c.integers(axis))
    chosen = c.emit("GatherElements", data, index, axis=axis)
    if op.keepdims or len(axes) == 1:
        return [chosen]
    return [c.emit("Squeeze", chosen, c.integers(axis))]


@converts(OneHot)
def one_hot(c: Conversion, op: OneHot) -> list[Value]:
    """The index compared with all numbers: ONNX's own OneHot counts negative ones from the end."""
    index = c.emit("Unsqueeze", c.cast(c.inputs[0], "int64"), c.integers(len(c.input_axes[0])))
    hit = c.emit("Equal", index, c.integers(*range(op.depth)))
    on, off = (c.constant(value, op.dtype) for value in (op.on_value, op.off_value))
    return [c.emit("Where", hit, on, off)]


@converts(Where)
def where(c: Conversion, op: Where) -> list[Value]:
    """Elements of one array or the other; a vector chooses whole rows."""
    condition, x, y = c.inputs
    given, ndim = c.input_axes[0], len(c.input_axes[1])
    if given != c.input_axes[1]:
        condition = c.along(condition, 0, ndim)
    return [c.emit("Where", c.cast(condition, "bool"), x, y)]
