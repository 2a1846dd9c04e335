"""Operators of two arrays of one shape, from the table of `binary`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from mxtrain.op.base import Operator, register
from mxtrain.op.binary import BINARY, Binary, passes
from mxtrain.op.pointwise import pointwise

if TYPE_CHECKING:
    from mxtrain.op.call import Call


class Elemwise(Operator):
    """Base of the operators of two arrays of one shape."""

    rule: ClassVar[Binary]
    argument_names: ClassVar[tuple[str, ...]] = ("lhs", "rhs")

    def forward(self, call: Call) -> None:
        """Out = f(x, y)."""
        pointwise(call, self.rule.forward, call.inputs, call.outputs[0], self.rule.fractional)

    def backward(self, call: Call) -> None:
        """DX and dY by the rule's derivatives."""
        arrays = [*call.inputs, call.outputs[0], call.heads[0]]
        for derivative, grad in zip((self.rule.d_lhs, self.rule.d_rhs), call.grads, strict=True):
            if grad is None or derivative is None:
                continue
            if derivative is passes:
                call.copy(call.heads[0], grad)
            else:
                call.formula(derivative, arrays, [grad])


_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "add": ("elemwise_add", ("_plus", "_add", "_Plus")),
    "sub": ("elemwise_sub", ("_minus", "_sub", "_Minus")),
    "mul": ("elemwise_mul", ("_mul", "_Mul")),
    "div": ("elemwise_div", ("_div", "_Div")),
    "mod": ("_mod", ("_Mod",)),
    "power": ("_power", ("_Power",)),
    "maximum": ("_maximum", ("_Maximum",)),
    "minimum": ("_minimum", ("_Minimum",)),
    "hypot": ("_hypot", ("_Hypot",)),
    "equal": ("_equal", ("_Equal",)),
    "not_equal": ("_not_equal", ("_Not_Equal",)),
    "greater": ("_greater", ("_Greater",)),
    "greater_equal": ("_greater_equal", ("_Greater_Equal",)),
    "lesser": ("_lesser", ("_Lesser",)),
    "lesser_equal": ("_lesser_equal", ("_Lesser_Equal",)),
    "logical_and": ("_logical_and", ("_Logical_And",)),
    "logical_or": ("_logical_or", ("_Logical_Or",)),
    "logical_xor": ("_logical_xor", ("_Logical_Xor",)),
}


def _make(key: str, name: str, aliases: tuple[str, ...]) -> None:
    rule = BINARY[key]
    zero = rule.d_lhs is None
    note = " Results are 0 or 1 in the operands' type; the gradient is zero." if zero else ""
    members = {
        "__doc__": f"Element-wise :math:`{rule.meaning}` of two arrays of one shape.{note}\n\n"
        f"    Source: MXNet operator `{name}`.",
        "__module__": __name__,
        "rule": rule,
        "no_gradient": Elemwise.argument_names if zero else (),
    }
    register(name, aliases)(type(name, (Elemwise,), members))


for _key, (_name, _aliases) in _NAMES.items():
    _make(_key, _name, _aliases)
