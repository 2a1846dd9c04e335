"""Normalizations, each in the steps of the executor.

ONNX has BatchNormalization and LayerNormalization, but onnxruntime multiplies before it subtracts
the mean in the one, and takes the variance as a difference of squares in the other: both lose
digits where the mean is large beside the deviation.
"""

from __future__ import annotations

from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.formulas import formula
from mxtrain.export.writer import Value
from mxtrain.op.batch_norm import BatchNorm
from mxtrain.op.l2_normalization import MODES, L2Normalization
from mxtrain.op.layer_norm import LayerNorm
from mxtrain.op.moments import inverse_deviation
from mxtrain.op.shape import axis_of


def _accumulator(dtype: str) -> str:
    """The element type of statistics: as `mxtrain.op.moments.accumulator` has it."""
    return "float32" if dtype == "float16" else dtype


@converts(BatchNorm)
def batch_norm(c: Conversion, op: BatchNorm) -> list[Value]:
    """(x - mean) * (gamma * inverse) + beta with the moving averages."""
    data, gamma, beta, mean, variance = c.inputs
    ndim = len(c.input_axes[0])
    axis = axis_of(op.axis, ndim)
    inverse = formula(c, inverse_deviation, [variance], eps=op.eps)[0]
    scale = inverse if op.fix_gamma else c.emit("Mul", inverse, gamma)
    wide = c.cast(data, mean.dtype)
    centred = c.emit("Sub", wide, c.along(mean, axis, ndim))
    scaled = c.emit("Mul", centred, c.along(scale, axis, ndim))
    result = c.cast(c.emit("Add", scaled, c.along(beta, axis, ndim)), data.dtype)
    return [result, mean, inverse] if op.output_mean_var else [result]


@converts(LayerNorm)
def layer_norm(c: Conversion, op: LayerNorm) -> list[Value]:
    """(x - mean) * inverse * gamma + beta with the moments along the axis."""
    data, gamma, beta = c.inputs
    ndim = len(c.input_axes[0])
    axis = axis_of(op.axis, ndim)
    dtype = _accumulator(data.dtype)
    wide = c.cast(data, dtype)
    mean = c.reduce("ReduceMean", wide, (axis,), True)
    centred = c.emit("Sub", wide, mean)
    variance = c.reduce("ReduceMean", c.emit("Mul", centred, centred), (axis,), True)
    deviation = c.emit("Sqrt", c.emit("Add", variance, c.constant(op.eps, dtype)))
    normalized = c.emit("Mul", centred, c.emit("Reciprocal", deviation))
    gamma, beta = (c.along(c.cast(vector, dtype), axis, ndim) for vector in (gamma, beta))
    result = c.emit("Add", c.emit("Mul", normalized, gamma), beta)
    results = [result, mean, deviation] if op.output_mean_var else [result]
    return [c.cast(value, data.dtype) for value in results]


@converts(L2Normalization)
def l2_normalization(c: Conversion, op: L2Normalization) -> list[Value]:
    """X / sqrt(sum(x^2) + eps)."""
    data = c.inputs[0]
    axes = tuple(range(len(c.input_axes[0])))[MODES[op.mode][0]]
    total = c.reduce("ReduceSum", c.emit("Mul", data, data), axes, True)
    norm = c.emit("Sqrt", c.emit("Add", total, c.constant(op.eps, data.dtype)))
    return [c.emit("Div", data, norm)]
