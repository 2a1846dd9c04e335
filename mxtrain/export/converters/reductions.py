"""Reductions over axes, and searches for extreme values."""

from __future__ import annotations

from mxtrain.export.axes import Free
from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.formulas import pointwise
from mxtrain.export.writer import Value
from mxtrain.op.arg_extreme import Search
from mxtrain.op.reduce import Max, Mean, Min, Norm, Prod, Reduce, Sum
from mxtrain.op.shape import axis_of, size

_OPERATORS: dict[type[Reduce], str] = {
    Sum: "ReduceSum",
    Prod: "ReduceProd",
    Max: "ReduceMax",
    Min: "ReduceMin",
    Mean: "ReduceSum",
    Norm: "ReduceSum",
}


@converts(Sum, Prod, Max, Min)
def reduce(c: Conversion, op: Reduce) -> list[Value]:
    """The reduction of ONNX; one without axes changes nothing."""
    return [_reduced(c, op, _OPERATORS[type(op)], c.inputs[0])]


def _reduced(c: Conversion, op: Reduce, op_type: str, value: Value) -> Value:
    axes = op.axes(len(c.input_axes[0]))
    if not axes:
        return value
    everything = len(axes) == len(c.input_axes[0]) and not op.keepdims
    result = c.reduce(op_type, value, axes, op.keepdims or everything)
    # What is left of an array reduced over everything is a vector of one number, not a scalar.
    return c.emit("Reshape", result, c.integers(1)) if everything else result


@converts(Mean)
def mean(c: Conversion, op: Mean) -> list[Value]:
    """The sum over the count for whole numbers, whose quotient is truncated."""
    if c.dtypes[0].startswith("float"):
        return [_reduced(c, op, "ReduceMean", c.inputs[0])]
    lengths = [c.input_axes[0][axis] for axis in op.axes(len(c.input_axes[0]))]
    if any(isinstance(length, Free) for length in lengths):
        raise c.fixed("the mean of whole numbers over the batch needs to know its size")
    count = size([length for length in lengths if not isinstance(length, Free)])
    total = _reduced(c, op, "ReduceSum", c.inputs[0])
    return [pointwise(c, "divide", [total], through_float=True, count=count)]


@converts(Norm)
def norm(c: Conversion, op: Norm) -> list[Value]:
    """The root of the sum of squares, or the sum of the absolute values."""
    data = c.inputs[0]
    parts = c.emit("Mul", data, data) if op.ord == 2 else c.emit("Abs", data)
    total = _reduced(c, op, "ReduceSum", parts)
    return [total if op.ord == 1 else pointwise(c, "sqrt", [total], through_float=True)]


@converts(Search)
def search(c: Conversion, op: Search) -> list[Value]:
    """The position of the first extreme, as a number of the data's type."""
    (axis, keepdims), data, ndim = op.where(), c.inputs[0], len(c.input_axes[0])
    if axis is None:
        data = c.emit("Reshape", data, c.integers(-1))
    chosen = 0 if axis is None else axis_of(axis, ndim)
    found = c.emit(
        "ArgMax" if op.function == "argmax" else "ArgMin",
        data,
        axis=chosen,
        keepdims=int(keepdims or axis is None or ndim == 1),
    )
    if axis is None and keepdims:
        found = c.emit("Reshape", found, c.integers(*[1] * ndim))
    return [c.cast(found, c.dtypes[0])]
