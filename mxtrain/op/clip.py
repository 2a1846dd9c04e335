"""clip: values kept within bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.op.base import Operator, register

if TYPE_CHECKING:
    from mxtrain.op.call import Call


def _clipped(xp: Any) -> Any:
    return lambda x, low, high: xp.minimum(xp.maximum(x, low), high)


def _passed(xp: Any) -> Any:
    return lambda x, g, low, high: g * xp.logical_and(x >= low, x <= high)


@register("clip")
class Clip(Operator):
    """Values below `a_min` become `a_min`, those above `a_max` become `a_max`.

    The gradient passes where a_min <= x <= a_max.

    Source: MXNet operator `clip`.
    """

    a_min: Annotated[float, "smallest value"]
    a_max: Annotated[float, "largest value"]

    def forward(self, call: Call) -> None:
        """Y = min(max(X, a_min), a_max)."""
        call.formula(_clipped, call.inputs, call.outputs, low=self.a_min, high=self.a_max)

    def backward(self, call: Call) -> None:
        """DX = G within the bounds, 0 outside."""
        if call.grads[0] is not None:
            arrays = [call.inputs[0], call.heads[0]]
            call.formula(_passed, arrays, [call.grads[0]], low=self.a_min, high=self.a_max)
