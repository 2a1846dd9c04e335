"""Operators of an array and a number, from the table of `binary`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mxtrain.op.base import Operator, register
from mxtrain.op.binary import BINARY, passes
from mxtrain.op.pointwise import Formula, Rule, pointwise

if TYPE_CHECKING:
    from mxtrain.op.call import Call


class ScalarOperator(Operator):
    """Base of the operators of an array and a number."""

    scalar: Annotated[float, "the number"]

    rule: ClassVar[Rule]
    derivative: ClassVar[Formula | None]

    def forward(self, call: Call) -> None:
        """Out = f(x, scalar), or f(scalar, x)."""
        pointwise(
            call,
            type(self).rule,
            call.inputs,
            call.outputs[0],
            through_float=True,
            scalar=self.scalar,
        )

    def backward(self, call: Call) -> None:
        """DX by the rule's derivative."""
        grad, derivative = call.grads[0], type(self).derivative
        if grad is None or derivative is None:
            return
        if derivative is passes:
            call.copy(call.heads[0], grad)
        else:
            arrays = [call.inputs[0], call.outputs[0], call.heads[0]]
            call.formula(derivative, arrays, [grad], scalar=self.scalar)


# Canonical name -> (row of the table, whether the number comes first).
_NAMES = {
    "_plus_scalar": ("add", False),
    "_minus_scalar": ("sub", False),
    "_rminus_scalar": ("sub", True),
    "_mul_scalar": ("mul", False),
    "_div_scalar": ("div", False),
    "_rdiv_scalar": ("div", True),
    "_mod_scalar": ("mod", False),
    "_rmod_scalar": ("mod", True),
    "_power_scalar": ("power", False),
    "_rpower_scalar": ("power", True),
    "_maximum_scalar": ("maximum", False),
    "_minimum_scalar": ("minimum", False),
    "_hypot_scalar": ("hypot", False),
    "_equal_scalar": ("equal", False),
    "_not_equal_scalar": ("not_equal", False),
    "_greater_scalar": ("greater", False),
    "_greater_equal_scalar": ("greater_equal", False),
    "_lesser_scalar": ("lesser", False),
    "_lesser_equal_scalar": ("lesser_equal", False),
    "_logical_and_scalar": ("logical_and", False),
    "_logical_or_scalar": ("logical_or", False),
    "_logical_xor_scalar": ("logical_xor", False),
}


def _forward(rule: Rule, reflected: bool) -> Rule:
    """Return the rule as one of (data, scalar)."""
    if not reflected and isinstance(rule, str):
        return rule

    def formula(xp: Any) -> Any:
        function = getattr(xp, rule) if isinstance(rule, str) else rule(xp)
        if reflected:
            return lambda data, scalar: function(scalar, data)
        return lambda data, scalar: function(data, scalar)

    return formula


def _backward(derivative: Formula | None, reflected: bool) -> Formula | None:
    """Return the derivative as a formula of (data, out, g, scalar)."""
    if derivative is None or derivative is passes:
        return derivative

    def formula(xp: Any) -> Any:
        function = derivative(xp)
        if reflected:
            return lambda data, out, g, scalar: function(scalar, data, out, g)
        return lambda data, out, g, scalar: function(data, scalar, out, g)

    return formula


def _old_spelling(name: str) -> str:
    """Return MXNet's former name: ``_rminus_scalar`` was ``_RMinusScalar``."""
    words = name.strip("_").split("_")
    words = ["R" + words[0][1:].title() if _NAMES[name][1] else words[0].title(), *words[1:]]
    return "_" + words[0] + "".join(word.title() for word in words[1:])


def _make(name: str, key: str, reflected: bool) -> None:
    rule = BINARY[key]
    x, y = ("scalar", "data") if reflected else ("data", "scalar")
    note = " Results are 0 or 1; the gradient is zero." if rule.d_lhs is None else ""
    members = {
        "__doc__": f"Element-wise :math:`{rule.meaning}` with x = {x} and y = {y}.{note}\n\n"
        f"    Source: MXNet operator `{name}`.",
        "__module__": __name__,
        "rule": _forward(rule.forward, reflected),
        "derivative": _backward(rule.d_rhs if reflected else rule.d_lhs, reflected),
        "no_gradient": ("data",) if rule.d_lhs is None else (),
    }
    register(name, (_old_spelling(name),))(type(name, (ScalarOperator,), members))


for _name, (_key, _reflected) in _NAMES.items():
    _make(_name, _key, _reflected)
