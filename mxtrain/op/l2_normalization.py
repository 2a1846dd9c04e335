"""L2Normalization: divide by the Euclidean norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shapes

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call

# The axes summed over, as a slice of all axes, and the number of axes data needs at least.
MODES = {
    "instance": (slice(1, None), 2),
    "channel": (slice(1, 2), 2),
    "spatial": (slice(2, None), 3),
}


@register()
class L2Normalization(Operator):
    r"""Divide by the Euclidean norm over some axes.

    .. math:: y = x / \sqrt{\sum x^2 + eps} \qquad dx = (g - y \sum g y) / \sqrt{\sum x^2 + eps}

    The sums go over all axes but the first (`instance`), axis 1 (`channel`), or all axes from 2 on
    (`spatial`).

    Source: MXNet operator `L2Normalization`.
    """

    eps: Annotated[float, "added under the root"] = 1e-10
    mode: Annotated[
        Literal["instance", "channel", "spatial"], "over which axes the norm is taken"
    ] = "instance"

    def hidden_outputs(self) -> int:
        """MXNet's files count the norm."""
        return 1

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """One shape for both; the mode asks for some axes."""
        shapes = super().infer_shape(inputs, outputs)
        data, needed = shapes[0][0], MODES[self.mode][1]
        if data is not None and len(data) < needed:
            raise Mismatch(f"mode '{self.mode}' needs data of at least {needed} axes")
        return shapes

    def _axes(self, call: Call) -> tuple[int, ...]:
        return tuple(range(call.inputs[0].ndim))[MODES[self.mode][0]]

    def _norm(self, call: Call) -> Array:
        axes = self._axes(call)
        shape = call.inputs[0].shape
        return call.scratch("norm", [1 if i in axes else n for i, n in enumerate(shape)])

    def forward(self, call: Call) -> None:
        """Y = X / norm."""
        data, norm = call.inputs[0], self._norm(call)
        squares = call.temp(data.shape)
        call.emit(call.xp.multiply, data, data, squares)
        call.sum(squares, self._axes(call), norm)
        call.formula(_root, [norm], [norm], eps=self.eps)
        call.emit(call.xp.divide, data, norm, call.outputs[0])

    def backward(self, call: Call) -> None:
        """DX = (G - Y sum(G Y)) / norm."""
        if call.grads[0] is None:
            return
        head, out, norm = call.heads[0], call.outputs[0], self._norm(call)
        product, total = call.temp(head.shape), call.temp(norm.shape)
        call.emit(call.xp.multiply, head, out, product)
        call.sum(product, self._axes(call), total)
        call.formula(_projected, [head, out, total, norm], [call.grads[0]])


def _root(xp: Any) -> Any:
    return lambda total, eps: xp.sqrt(total + eps)


def _projected(xp: Any) -> Any:
    return lambda g, y, total, norm: (g - y * total) / norm
