"""Softmax in its forms."""

from __future__ import annotations

import numpy as np

from mxtrain.export.axes import Axes, Free
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.shape import axis_of
from mxtrain.op.softmax import LogSoftmax, RowOperator, Softmax, SoftmaxActivation


def over_rest(c: Conversion, data: Value, axes: Axes) -> Value:
    """Softmax over everything but the first axis."""
    if len(axes) == 2:
        return c.emit("Softmax", data, axis=1)
    rows = c.emit("Softmax", c.emit("Flatten", data, axis=1), axis=1)
    return c.reshape(rows, axes[:1], axes)


def _scaled(c: Conversion, op: RowOperator) -> Value:
    """Data over the temperature, in the wider of the types of data and output."""
    data = c.inputs[0]
    if np.dtype(data.dtype).itemsize < np.dtype(c.dtypes[0]).itemsize:
        data = c.cast(data, c.dtypes[0])
    if op.temperature in (None, 1):
        return data
    return c.emit("Mul", data, c.constant(1 / op.temperature, data.dtype))


@converts(Softmax)
def softmax(c: Conversion, op: Softmax) -> list[Value]:
    """Softmax along an axis, or over the first elements along it."""
    axis = axis_of(op.axis, len(c.input_axes[0]))
    data = _scaled(c, op)
    result = _masked(c, data, axis) if op.use_length else c.emit("Softmax", data, axis=axis)
    return [c.cast(result, c.dtypes[0])]


def _masked(c: Conversion, data: Value, axis: int) -> Value:
    """Softmax over the elements whose place is below the length; the others become 0."""
    longest, length = c.input_axes[0][axis], c.inputs[1]
    if isinstance(longest, Free):
        raise c.fixed("the softmax goes over some rows of the batch")
    places = c.along(c.constant(range(longest), length.dtype), axis, len(c.input_axes[0]))
    keep = c.emit("Less", places, c.emit("Unsqueeze", length, c.integers(axis)))
    lowest = c.constant(np.finfo(data.dtype).min, data.dtype)
    kept = c.emit("Where", keep, data, lowest)
    highest = c.reduce("ReduceMax", kept, (axis,), True)
    powers = c.emit("Exp", c.emit("Sub", kept, highest))
    counted = c.emit("Mul", powers, c.cast(keep, data.dtype))
    total = c.reduce("ReduceSum", counted, (axis,), True)
    # The greatest element adds 1 to every sum but that of an empty row.
    return c.emit("Div", counted, c.emit("Max", total, c.constant(1, data.dtype)))


@converts(LogSoftmax)
def log_softmax(c: Conversion, op: LogSoftmax) -> list[Value]:
    """Logarithm of the softmax along an axis."""
    axis = axis_of(op.axis, len(c.input_axes[0]))
    return [c.cast(c.emit("LogSoftmax", _scaled(c, op), axis=axis), c.dtypes[0])]


@converts(SoftmaxActivation)
def softmax_activation(c: Conversion, op: SoftmaxActivation) -> list[Value]:
    """Softmax along axis 1, or over everything but the first axis."""
    if op.mode == "channel":
        return [c.emit("Softmax", c.inputs[0], axis=1)]
    return [over_rest(c, c.inputs[0], c.input_axes[0])]
