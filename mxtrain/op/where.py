"""where: a choice between two arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mxtrain.op.base import DTypes, Operator, register
from mxtrain.op.shape import Mismatch, Shape, Shapes, is_complete, merge, show

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


def _chosen(xp: Any) -> Any:
    return lambda condition, x, y: xp.where(xp.not_equal(condition, 0), x, y)


def _where_true(xp: Any) -> Any:
    return lambda condition, g: g * xp.not_equal(condition, 0)


def _where_false(xp: Any) -> Any:
    return lambda condition, g: g * xp.equal(condition, 0)


@register("where")
class Where(Operator):
    """Elements of x where `condition` is not 0, of y elsewhere.

    Shapes: x and y equal; condition the same, or `(N,)` to choose whole rows. The condition may
    have any element type and gets no gradient.

    Source: MXNet operator `where`.
    """

    argument_names: ClassVar[tuple[str, ...]] = ("condition", "x", "y")
    no_gradient: ClassVar[tuple[str, ...]] = ("condition",)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Give x, y and the output one shape; check the condition against it."""
        condition = inputs[0]
        common: Shape = merge(merge(inputs[1], inputs[2]), outputs[0])
        if condition is not None and common is not None:
            fits = len(condition) == len(common) or len(condition) == 1
            if fits and is_complete(condition) and is_complete(common):
                fits = condition in (common, common[:1])
            if not fits:
                raise Mismatch(
                    f"condition should be {show(common)} or {show(common[:1])}, "
                    f"it is {show(condition)}"
                )
        elif common is not None:
            condition = common
        return [condition, common, common], [common]

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """Give x, y and the output one type; the condition has its own."""
        known = next((dtype for dtype in (*inputs[1:], *outputs) if dtype is not None), None)
        return [inputs[0], known, known], [known]

    def _condition(self, call: Call) -> Array:
        condition, x = call.inputs[:2]
        if condition.shape == x.shape:
            return condition
        return condition.reshape((-1,) + (1,) * (x.ndim - 1))

    def forward(self, call: Call) -> None:
        """Out = X where the condition holds, else Y."""
        call.formula(_chosen, [self._condition(call), *call.inputs[1:]], call.outputs)

    def backward(self, call: Call) -> None:
        """DX = G where the condition holds, dY = G elsewhere, 0 otherwise."""
        condition = self._condition(call)
        for rule, grad in zip((_where_true, _where_false), call.grads[1:], strict=True):
            if grad is not None:
                call.formula(rule, [condition, call.heads[0]], [grad])
