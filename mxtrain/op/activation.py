"""Activation: the element-wise non-linearities, as one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from mxtrain.op.base import Operator, register

if TYPE_CHECKING:
    from mxtrain.op.call import Call


class Function(NamedTuple):
    """y = forward(x) and dx = backward(y, g), each a formula over ``xp``."""

    forward: Callable[[Any], Callable[..., Any]]
    backward: Callable[[Any], Callable[..., Any]]


def sigmoid(xp: Any) -> Callable[..., Any]:
    """1 / (1 + exp(-x)), through tanh, which does not overflow."""
    return lambda x: 0.5 * xp.tanh(0.5 * x) + 0.5


def softrelu(xp: Any) -> Callable[..., Any]:
    """log(1 + exp(x)) without overflow: max(x, 0) + log1p(exp(-|x|))."""
    return lambda x: xp.maximum(x, 0) + xp.log1p(xp.exp(-xp.abs(x)))


FUNCTIONS = {
    "relu": Function(
        lambda xp: lambda x: xp.maximum(x, 0),
        lambda xp: lambda y, g: g * (y > 0),
    ),
    "sigmoid": Function(sigmoid, lambda xp: lambda y, g: g * y * (1 - y)),
    "tanh": Function(
        lambda xp: lambda x: xp.tanh(x),
        lambda xp: lambda y, g: g * (1 - y * y),
    ),
    # With y = log(1 + exp(x)), the derivative sigmoid(x) is 1 - exp(-y).
    "softrelu": Function(softrelu, lambda xp: lambda y, g: g * -xp.expm1(-y)),
    # With y = x / (1 + |x|), 1 / (1 + |x|) is 1 - |y|.
    "softsign": Function(
        lambda xp: lambda x: x / (1 + xp.abs(x)),
        lambda xp: lambda y, g: g * (1 - xp.abs(y)) * (1 - xp.abs(y)),
    ),
}


@register()
class Activation(Operator):
    r"""Element-wise activation.

    relu :math:`\max(x, 0)` (derivative 0 at 0), sigmoid :math:`1/(1+e^{-x})`, tanh, softrelu
    :math:`\log(1+e^x)`, softsign :math:`x/(1+|x|)`.

    Source: MXNet operator `Activation`.
    """

    act_type: Annotated[
        Literal["relu", "sigmoid", "tanh", "softrelu", "softsign"], "which function"
    ]

    def forward(self, call: Call) -> None:
        """Y = f(X)."""
        call.formula(FUNCTIONS[self.act_type].forward, call.inputs, call.outputs)

    def backward(self, call: Call) -> None:
        """DX from the output alone, so that the input may be overwritten."""
        if call.grads[0] is not None:
            backward = FUNCTIONS[self.act_type].backward
            call.formula(backward, [call.outputs[0], call.heads[0]], [call.grads[0]])
