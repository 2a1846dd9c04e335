"""Matrix products: dot, batch_dot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shape, Shapes, merge_axis, show, size

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


class Product(Operator):
    """Base: attributes and gradients of a product of two matrices."""

    transpose_a: Annotated[bool, "transpose the first factor"] = False
    transpose_b: Annotated[bool, "transpose the second factor"] = False

    argument_names: ClassVar[tuple[str, ...]] = ("lhs", "rhs")

    def lhs_matrix(self, array: Array) -> Array:
        """View the first factor, as stored, as matrices."""
        raise NotImplementedError

    def rhs_matrix(self, array: Array) -> Array:
        """View the second factor, as stored, as matrices."""
        raise NotImplementedError

    def out_matrix(self, call: Call, array: Array) -> Array:
        """View an array of the output's shape as matrices."""
        raise NotImplementedError

    def forward(self, call: Call) -> None:
        """Y = A B, each factor possibly transposed."""
        a = _turned(self.lhs_matrix(call.inputs[0]), self.transpose_a)
        b = _turned(self.rhs_matrix(call.inputs[1]), self.transpose_b)
        call.emit(call.xp.matmul, a, b, self.out_matrix(call, call.outputs[0]))

    def backward(self, call: Call) -> None:
        """DA = G B', dB = A' G, transposed back."""
        head = self.out_matrix(call, call.heads[0])
        a, b = self.lhs_matrix(call.inputs[0]), self.rhs_matrix(call.inputs[1])
        d_a, d_b = call.grads
        if d_a is not None:
            b = _turned(b, self.transpose_b)
            factors = (b, _turned(head)) if self.transpose_a else (head, _turned(b))
            call.emit(call.xp.matmul, *factors, self.lhs_matrix(d_a))
        if d_b is not None:
            a = _turned(a, self.transpose_a)
            factors = (_turned(head), a) if self.transpose_b else (_turned(a), head)
            call.emit(call.xp.matmul, *factors, self.rhs_matrix(d_b))


def _turned(matrix: Array, turn: bool = True) -> Array:
    return matrix.swapaxes(-1, -2) if turn else matrix


@register("dot")
class Dot(Product):
    """Product over the last axis of `lhs` and the first of `rhs`.

    Shapes: `(..., k)` and `(k, ...)` give the remaining axes of both; two vectors give `(1,)`. With
    `transpose_a` the first axis of `lhs` is summed over, with `transpose_b` the last of `rhs`.

    Source: MXNet operator `dot`.
    """

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output; the shared axis is passed between the factors."""
        lhs, rhs = inputs
        if lhs is None or rhs is None:
            return inputs, outputs
        k_a, rest_a = (lhs[0], lhs[1:]) if self.transpose_a else (lhs[-1], lhs[:-1])
        k_b, rest_b = (rhs[-1], rhs[:-1]) if self.transpose_b else (rhs[0], rhs[1:])
        if k_a and k_b and k_a != k_b:
            raise Mismatch(f"{show(lhs)} and {show(rhs)} share no axis: {k_a} against {k_b}")
        k = k_a or k_b
        lhs = (k, *rest_a) if self.transpose_a else (*rest_a, k)
        rhs = (*rest_b, k) if self.transpose_b else (k, *rest_b)
        return [lhs, rhs], [(*rest_a, *rest_b) or (1,)]

    def lhs_matrix(self, array: Array) -> Array:
        """See `(..., k)` as a matrix of k columns, or `(k, ...)` as one of k rows."""
        shape = array.shape
        kept = shape[1:] if self.transpose_a else shape[:-1]
        return array.reshape(
            (shape[0], size(kept)) if self.transpose_a else (size(kept), shape[-1])
        )

    def rhs_matrix(self, array: Array) -> Array:
        """See `(k, ...)` as a matrix of k rows, or `(..., k)` as one of k columns."""
        shape = array.shape
        kept = shape[:-1] if self.transpose_b else shape[1:]
        return array.reshape(
            (size(kept), shape[-1]) if self.transpose_b else (shape[0], size(kept))
        )

    def out_matrix(self, call: Call, array: Array) -> Array:
        """See the output as (kept axes of lhs, kept axes of rhs)."""
        lhs = call.inputs[0].shape
        return array.reshape(size(lhs[1:] if self.transpose_a else lhs[:-1]), -1)


@register("batch_dot")
class BatchDot(Product):
    """Matrix products over the last two axes; the axes before them number the pairs.

    Shapes: `(..., m, k)` and `(..., k, n)` give `(..., m, n)`; a factor is stored with its last two
    axes exchanged where `transpose_a` or `transpose_b` is set.

    Source: MXNet operator `batch_dot`.
    """

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output; batch axes and the shared axis are passed between the factors."""
        lhs, rhs = inputs
        if lhs is None or rhs is None:
            return inputs, outputs
        if len(lhs) < 3 or len(lhs) != len(rhs):
            raise Mismatch(f"{show(lhs)} and {show(rhs)} should have 3 axes, or one number above 3")
        batch = tuple(merge_axis(a, b) for a, b in zip(lhs[:-2], rhs[:-2], strict=True))
        m, k_a = lhs[-1:-3:-1] if self.transpose_a else lhs[-2:]
        k_b, n = rhs[-1:-3:-1] if self.transpose_b else rhs[-2:]
        if k_a and k_b and k_a != k_b:
            raise Mismatch(f"{show(lhs)} and {show(rhs)} share no axis: {k_a} against {k_b}")
        k = k_a or k_b
        ends_a = (k, m) if self.transpose_a else (m, k)
        ends_b = (n, k) if self.transpose_b else (k, n)
        out: Shape = (*batch, m, n)
        return [(*batch, *ends_a), (*batch, *ends_b)], [out]

    def lhs_matrix(self, array: Array) -> Array:
        """Return the array, which is matrices already."""
        return array

    def rhs_matrix(self, array: Array) -> Array:
        """Return the array, which is matrices already."""
        return array

    def out_matrix(self, call: Call, array: Array) -> Array:
        """Return the array, which is matrices already."""
        return array
