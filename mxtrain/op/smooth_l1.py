"""smooth_l1: quadratic near zero, linear further out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.op.base import Operator, register

if TYPE_CHECKING:
    from mxtrain.op.call import Call


@register("smooth_l1")
class SmoothL1(Operator):
    r"""Huber's function.

    .. math:: y = s^2 x^2 / 2 \text{ where } |x| \le 1/s^2, \text{ else } |x| - 1/(2 s^2)

    Its derivative is :math:`s^2 x` limited to [-1, 1].

    Source: MXNet operator `smooth_l1`; Girshick 2015, arXiv:1504.08083.
    """

    scalar: Annotated[float, "s: the change of form is at 1/s^2"] = 1.0

    def forward(self, call: Call) -> None:
        """Y = s^2 q^2 / 2 + (|X| - q) with q = min(|X|, 1/s^2)."""
        square = self.scalar * self.scalar
        bound = 1 / square if square else float("inf")
        call.formula(_smooth, call.inputs, call.outputs, half=square / 2, bound=bound)

    def backward(self, call: Call) -> None:
        """DX = G times s^2 X limited to [-1, 1]."""
        if call.grads[0] is not None:
            square = self.scalar * self.scalar
            call.formula(_limited, [call.inputs[0], call.heads[0]], [call.grads[0]], square=square)


def _smooth(xp: Any) -> Any:
    def smooth(x: Any, half: Any, bound: Any) -> Any:
        size = xp.abs(x)
        near = xp.minimum(size, bound)
        return half * near * near + (size - near)

    return smooth


def _limited(xp: Any) -> Any:
    return lambda x, g, square: g * xp.maximum(xp.minimum(square * x, 1), -1)
