"""Matrix products."""

from __future__ import annotations

from mxtrain.export.conversion import Conversion
from mxtrain.export.converters.registry import converts
from mxtrain.export.writer import Value
from mxtrain.op.dot import BatchDot, Dot
from mxtrain.op.fully_connected import FullyConnected


@converts(FullyConnected)
def fully_connected(c: Conversion, op: FullyConnected) -> list[Value]:
    """Gemm where the data are a matrix, else MatMul over the last axis."""
    data, weight, *bias = c.inputs
    ndim = len(c.input_axes[0])
    is_matrix = ndim == 2 or op.flatten
    if op.flatten and ndim != 2:
        data = c.emit("Flatten", data, axis=1)
    if is_matrix and c.dtypes[0].startswith("float"):
        return [c.emit("Gemm", data, weight, *bias, transB=1)]
    product = c.emit("MatMul", data, c.emit("Transpose", weight, perm=[1, 0]))
    return [c.emit("Add", product, bias[0]) if bias else product]


@converts(Dot)
def dot(c: Conversion, op: Dot) -> list[Value]:
    """A product of two matrices, as which both factors and the result are seen."""
    lhs = _matrix(c, 0, op.transpose_a, first=op.transpose_a)
    rhs = _matrix(c, 1, op.transpose_b, first=not op.transpose_b)
    product = c.emit("MatMul", lhs, rhs)
    if len(c.input_axes[0]) == len(c.input_axes[1]) == 2:
        return [product]
    # Its shape is never that of the result: not both factors have two axes.
    return [c.reshape(product, (), c.output_axes[0])]


def _matrix(c: Conversion, number: int, turned: bool, first: bool) -> Value:
    """See an input as a matrix whose rows (`first`) or columns are its first or last axis."""
    value, ndim = c.inputs[number], len(c.input_axes[number])
    if ndim != 2:
        value = c.emit("Flatten", value, axis=1 if first else ndim - 1)
    return c.emit("Transpose", value, perm=[1, 0]) if turned else value


@converts(BatchDot)
def batch_dot(c: Conversion, op: BatchDot) -> list[Value]:
    """MatMul, which goes over the last two axes."""
    factors = []
    for value, turned in zip(c.inputs, (op.transpose_a, op.transpose_b), strict=True):
        ndim = len(c.input_axes[0])
        order = [*range(ndim - 2), ndim - 1, ndim - 2]
        factors.append(c.emit("Transpose", value, perm=order) if turned else value)
    return [c.emit("MatMul", *factors)]
