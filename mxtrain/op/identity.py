"""identity and BlockGrad: the value unchanged, with or without its gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from mxtrain.op.base import Operator, register

if TYPE_CHECKING:
    from mxtrain.op.call import Call


class PassOn(Operator):
    """An operator whose output is its input, in the same memory."""

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return the input."""
        return [inputs[0]]


@register("identity", aliases=("_copy",))
class Identity(PassOn):
    """The input, and its gradient, unchanged.

    Source: MXNet operator `identity`.
    """

    def backward(self, call: Call) -> None:
        """DX = G."""
        if call.grads[0] is not None:
            call.copy(call.heads[0], call.grads[0])


@register(aliases=("stop_gradient",))
class BlockGrad(PassOn):
    """The input unchanged; no gradient passes.

    Source: MXNet operator `BlockGrad`.
    """

    uses_head: ClassVar[bool] = False

    def backward(self, call: Call) -> None:
        """DX = 0."""
        if call.grads[0] is not None:
            call.fill(call.grads[0], 0)
