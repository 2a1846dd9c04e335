"""FullyConnected: a matrix product and a bias."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from annotated_types import Ge

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Shapes, size

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call

# Multiplications up to which OpenBLAS packs nothing, and what is too little to gain by turning.
LARGEST_UNPACKED, FEWEST_ROWS, FEWEST_WEIGHTS = 10**6, 16, 1024


@register()
class FullyConnected(Operator):
    r"""Linear layer on the rows of a matrix.

    .. math:: y = x W^T + b

    Shapes: data `(N, ...)`, weight `(num_hidden, in)`, bias `(num_hidden,)`. With `flatten`, data
    is seen as `(N, in)` and the output is `(N, num_hidden)`; without it only the last axis is
    transformed.

    Source: MXNet operator `FullyConnected`.
    """

    num_hidden: Annotated[int, Ge(1), "number of outputs"]
    no_bias: Annotated[bool, "leave the bias out"] = False
    flatten: Annotated[bool, "see data as a matrix of N rows"] = True

    argument_names: ClassVar[tuple[str, ...]] = ("data", "weight", "bias")

    def arguments(self) -> tuple[str, ...]:
        """Return the inputs: no bias with `no_bias`."""
        return self.argument_names[:2] if self.no_bias else self.argument_names

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the others from data; the batch size flows back from the output."""
        data, out = inputs[0], outputs[0]
        if data is None:
            return inputs, outputs
        if out is not None and data[0] == 0:
            data = (out[0], *data[1:])
        fan_in = size(data[1:]) if self.flatten else data[-1]
        rows = data[:1] if self.flatten else data[:-1]
        bias: Shapes = [] if self.no_bias else [(self.num_hidden,)]
        return [data, (self.num_hidden, fan_in), *bias], [(*rows, self.num_hidden)]

    def forward(self, call: Call) -> None:
        """Y = X W' (+ b)."""
        data, weight, *bias = call.inputs
        rows, out = _matrix(data, weight.shape[1]), _matrix(call.outputs[0], self.num_hidden)
        factor = weight.T
        if call.turns_small_factors and _turns_first(rows, weight):
            factor = call.temp(factor.shape)
            call.emit(call.xp.copyto, factor, weight.T)
        call.emit(call.xp.dot, rows, factor, out)
        if bias:
            call.emit(call.xp.add, out, bias[0], out)

    def backward(self, call: Call) -> None:
        """DX = G W, dW = G' X, db = sum of the rows of G."""
        data, weight = call.inputs[:2]
        head = _matrix(call.heads[0], self.num_hidden)
        d_data, d_weight, *d_bias = call.grads
        if d_weight is not None:
            call.emit(call.xp.dot, head.T, _matrix(data, weight.shape[1]), d_weight)
        if d_bias and d_bias[0] is not None:
            call.sum(head, (0,), d_bias[0])
        if d_data is not None:
            call.emit(call.xp.dot, head, weight, _matrix(d_data, weight.shape[1]))


def _turns_first(rows: Array, weight: Array) -> bool:
    """Whether to write W' out before the product: that pays where the product is small.

    OpenBLAS packs the matrices of a large product in the order that it likes. Small ones it takes
    as they are, and a product with a transposed matrix then runs at half the speed of a plain one.
    """
    is_small = rows.shape[0] * weight.size <= LARGEST_UNPACKED
    return is_small and rows.shape[0] >= FEWEST_ROWS and weight.size >= FEWEST_WEIGHTS


def _matrix(array: Array, columns: int) -> Array:
    return array.reshape(-1, columns)
