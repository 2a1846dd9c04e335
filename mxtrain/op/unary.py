"""Operators of one array, element by element, as one table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from mxtrain.op.activation import sigmoid
from mxtrain.op.base import Operator, register
from mxtrain.op.pointwise import Formula, Rule, pointwise

if TYPE_CHECKING:
    from mxtrain.op.call import Call


class Unary(NamedTuple):
    """y = forward(x) and its derivative as a formula of (x, y, g); None where it is zero."""

    meaning: str
    forward: Rule
    backward: Formula | None = None


def _round(xp: Any) -> Any:
    """Nearest integer, halves away from zero, without the rounding error of x + 0.5."""

    def rounded(x: Any) -> Any:
        whole = xp.trunc(x)
        return whole + xp.sign(x) * (xp.abs(x - whole) >= 0.5)

    return rounded


def _rint(xp: Any) -> Any:
    """Nearest integer, halves downwards, as MXNet rounds."""

    def rounded(x: Any) -> Any:
        below = xp.floor(x)
        return below + (x - below > 0.5)

    return rounded


UNARY: dict[str, Unary] = {
    "negative": Unary("-x", "negative", lambda xp: lambda x, y, g: -g),
    "abs": Unary("|x|", "absolute", lambda xp: lambda x, y, g: g * xp.sign(x)),
    "sign": Unary(r"\mathrm{sign}(x)", "sign"),
    "exp": Unary("e^x", "exp", lambda xp: lambda x, y, g: g * y),
    "expm1": Unary("e^x - 1", "expm1", lambda xp: lambda x, y, g: g * (y + 1)),
    "log": Unary(r"\ln x", "log", lambda xp: lambda x, y, g: g / x),
    "log2": Unary(r"\log_2 x", "log2", lambda xp: lambda x, y, g: g / (x * math.log(2))),
    "log10": Unary(r"\log_{10} x", "log10", lambda xp: lambda x, y, g: g / (x * math.log(10))),
    "log1p": Unary(r"\ln(1 + x)", "log1p", lambda xp: lambda x, y, g: g / (1 + x)),
    "sqrt": Unary(r"\sqrt{x}", "sqrt", lambda xp: lambda x, y, g: 0.5 * g / y),
    "rsqrt": Unary(
        r"1 / \sqrt{x}",
        lambda xp: lambda x: 1 / xp.sqrt(x),
        lambda xp: lambda x, y, g: -0.5 * g * y / x,
    ),
    "cbrt": Unary(r"\sqrt[3]{x}", "cbrt", lambda xp: lambda x, y, g: g / (3 * y * y)),
    "rcbrt": Unary(
        r"1 / \sqrt[3]{x}",
        lambda xp: lambda x: 1 / xp.cbrt(x),
        lambda xp: lambda x, y, g: g * y / (-3 * x),
    ),
    "square": Unary("x^2", "square", lambda xp: lambda x, y, g: 2 * g * x),
    "reciprocal": Unary("1 / x", "reciprocal", lambda xp: lambda x, y, g: -g * y * y),
    "sin": Unary(r"\sin x", "sin", lambda xp: lambda x, y, g: g * xp.cos(x)),
    "cos": Unary(r"\cos x", "cos", lambda xp: lambda x, y, g: -g * xp.sin(x)),
    "tan": Unary(r"\tan x", "tan", lambda xp: lambda x, y, g: g * (1 + y * y)),
    "arcsin": Unary(
        r"\arcsin x", "arcsin", lambda xp: lambda x, y, g: g / xp.sqrt((1 - x) * (1 + x))
    ),
    "arccos": Unary(
        r"\arccos x", "arccos", lambda xp: lambda x, y, g: -g / xp.sqrt((1 - x) * (1 + x))
    ),
    "arctan": Unary(r"\arctan x", "arctan", lambda xp: lambda x, y, g: g / (1 + x * x)),
    "sinh": Unary(r"\sinh x", "sinh", lambda xp: lambda x, y, g: g * xp.sqrt(1 + y * y)),
    "cosh": Unary(
        r"\cosh x", "cosh", lambda xp: lambda x, y, g: 0.5 * g * (xp.exp(x) - xp.exp(-x))
    ),
    "tanh": Unary(r"\tanh x", "tanh", lambda xp: lambda x, y, g: g * (1 - y * y)),
    "arcsinh": Unary(
        r"\mathrm{arsinh}\, x", "arcsinh", lambda xp: lambda x, y, g: g / xp.sqrt(x * x + 1)
    ),
    "arccosh": Unary(
        r"\mathrm{arcosh}\, x",
        "arccosh",
        lambda xp: lambda x, y, g: g / xp.sqrt((x - 1) * (x + 1)),
    ),
    "arctanh": Unary(
        r"\mathrm{artanh}\, x", "arctanh", lambda xp: lambda x, y, g: g / ((1 - x) * (1 + x))
    ),
    "degrees": Unary(r"180 x / \pi", "degrees", lambda xp: lambda x, y, g: g * (180 / math.pi)),
    "radians": Unary(r"\pi x / 180", "radians", lambda xp: lambda x, y, g: g * (math.pi / 180)),
    "sigmoid": Unary(r"1 / (1 + e^{-x})", sigmoid, lambda xp: lambda x, y, g: g * y * (1 - y)),
    "relu": Unary(
        r"\max(x, 0)",
        lambda xp: lambda x: xp.maximum(x, 0),
        lambda xp: lambda x, y, g: g * (x > 0),
    ),
    "softsign": Unary(
        r"x / (1 + |x|)",
        lambda xp: lambda x: x / (1 + xp.abs(x)),
        lambda xp: lambda x, y, g: g / xp.square(1 + xp.abs(x)),
    ),
    "erf": Unary(
        r"2/\sqrt{\pi} \int_0^x e^{-t^2} dt",
        lambda xp: lambda x: xp.erf(x),
        lambda xp: lambda x, y, g: g * (2 / math.sqrt(math.pi)) * xp.exp(-x * x),
    ),
    "floor": Unary(r"\lfloor x \rfloor", "floor"),
    "ceil": Unary(r"\lceil x \rceil", "ceil"),
    "round": Unary(r"\mathrm{round}(x) \text{, halves away from zero}", _round),
    "rint": Unary(r"\mathrm{round}(x) \text{, halves downwards}", _rint),
    "fix": Unary(r"\mathrm{trunc}(x)", "trunc"),
    "trunc": Unary(r"\mathrm{trunc}(x)", "trunc"),
    "logical_not": Unary("x = 0", lambda xp: lambda x: xp.logical_not(x)),
    "zeros_like": Unary("0", lambda xp: lambda x: 0),
    "ones_like": Unary("1", lambda xp: lambda x: 1),
}


class Elementwise(Operator):
    """Base of the element-wise operators of one array."""

    rule: ClassVar[Unary]

    def forward(self, call: Call) -> None:
        """Y = f(X)."""
        pointwise(call, self.rule.forward, call.inputs, call.outputs[0], through_float=True)

    def backward(self, call: Call) -> None:
        """DX by the rule's derivative."""
        grad = call.grads[0]
        if grad is not None and self.rule.backward is not None:
            arrays = [call.inputs[0], call.outputs[0], call.heads[0]]
            call.formula(self.rule.backward, arrays, [grad])


def _make(name: str, rule: Unary) -> None:
    note = "" if rule.backward else " The gradient is zero."
    members = {
        "__doc__": f"Element-wise :math:`{rule.meaning}`.{note}\n\n"
        f"    Source: MXNet operator `{name}`.",
        "__module__": __name__,
        "rule": rule,
        "no_gradient": () if rule.backward else ("data",),
    }
    register(name)(type(name, (Elementwise,), members))


for _name, _rule in UNARY.items():
    _make(_name, _rule)
