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
    if data.dtype == "float64":
        product = c.emit("Einsum", data, weight, equation="...j,kj->...k")  # see _product
    else:
        product = c.emit("MatMul", data, c.emit("Transpose", weight, perm=[1, 0]))
    return [c.emit("Add", product, bias[0]) if bias else product]


@converts(Dot)
def dot(c: Conversion, op: Dot) -> list[Value]:
    """A product of two matrices, as which both factors and the result are seen."""
    lhs, rhs = _matrix(c, 0, first=op.transpose_a), _matrix(c, 1, first=not op.transpose_b)
    product = _product(c, lhs, rhs, (op.transpose_a, op.transpose_b), 2)
    if len(c.input_axes[0]) == len(c.input_axes[1]) == 2:
        return [product]
    # Its shape is never that of the result: not both factors have two axes.
    return [c.reshape(product, (), c.output_axes[0])]


def _matrix(c: Conversion, number: int, first: bool) -> Value:
    """See an input as a matrix whose rows (`first`) or columns are its first or last axis."""
    value, ndim = c.inputs[number], len(c.input_axes[number])
    if ndim == 2:
        return value
    return c.emit("Flatten", value, axis=1 if first else ndim - 1)


@converts(BatchDot)
def batch_dot(c: Conversion, op: BatchDot) -> list[Value]:
    """MatMul, which goes over the last two axes."""
    lhs, rhs = c.inputs
    rank = len(c.input_axes[0])
    return [_product(c, lhs, rhs, (op.transpose_a, op.transpose_b), rank)]


def _product(c: Conversion, lhs: Value, rhs: Value, turned: tuple[bool, bool], rank: int) -> Value:
    """Multiply arrays of matrices with `rank` axes; `turned` are those stored transposed."""
    if any(turned) and lhs.dtype == "float64":
        # onnxruntime up to 1.22 makes one operator of Transpose and MatMul that it cannot run.
        a, b = ("ji" if turned[0] else "ij"), ("kj" if turned[1] else "jk")
        return c.emit("Einsum", lhs, rhs, equation=f"...{a},...{b}->...ik")
    order = [*range(rank - 2), rank - 1, rank - 2]
    factors = [
        c.emit("Transpose", factor, perm=order) if turn else factor
        for factor, turn in zip((lhs, rhs), turned, strict=True)
    ]
    return c.emit("MatMul", *factors)
