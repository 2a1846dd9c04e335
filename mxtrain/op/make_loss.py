"""MakeLoss and make_loss: take any value for a loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from mxtrain.op.base import register
from mxtrain.op.identity import PassOn

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


class LossOfItself(PassOn):
    """An operator whose output is a loss already."""

    uses_head: ClassVar[bool] = False
    is_loss: ClassVar[bool] = True

    def loss(self, xp: Any, output: Any, label: Any) -> tuple[float, int]:
        """Return the sum of the output, and its rows; there is no label."""
        return float(output.sum(dtype="float64")), output.shape[0]


@register()
class MakeLoss(LossOfItself):
    """Start the gradient at a value that is a loss.

    The output is the input; its gradient is `grad_scale / d` everywhere, whatever head gradient
    arrives. The divisor `d` is 1; with `batch` the product of all axes but the last; with `valid`
    the number of elements above `valid_thresh`, at least 1.

    Source: MXNet operator `MakeLoss`.
    """

    grad_scale: Annotated[float, "factor on the gradient"] = 1.0
    valid_thresh: Annotated[float, "elements above this count as valid"] = 0.0
    normalization: Annotated[
        Literal["null", "batch", "valid"],
        "divide the gradient by nothing, the number of rows, or that of valid elements",
    ] = "null"

    def backward(self, call: Call) -> None:
        """DX = grad_scale / divisor."""
        data, grad = call.inputs[0], call.grads[0]
        if grad is None:
            return
        if self.normalization == "valid":
            self._divide_by_valid(call, data, grad)
            return
        rows = data.size // data.shape[-1]
        divisor = rows if self.normalization == "batch" else 1
        call.fill(grad, self.grad_scale / divisor)

    def _divide_by_valid(self, call: Call, data: Array, grad: Array) -> None:
        xp = call.xp
        valid, count = call.temp(data.shape, bool), call.temp((), grad.dtype)
        call.emit(xp.greater, data, call.constant(self.valid_thresh, data.dtype), valid)
        call.emit(xp.add.reduce, valid, None, None, count)
        call.formula(_per_valid, [count], [count], scale=self.grad_scale)
        call.emit(xp.copyto, grad, count)


def _per_valid(xp: Any) -> Any:
    return lambda count, scale: scale / xp.maximum(count, 1)


@register("make_loss")
class MakeLossPlain(LossOfItself):
    """Start the gradient at a value that is a loss, with 1 everywhere.

    Source: MXNet operator `make_loss` (lower case).
    """

    output_names: ClassVar[tuple[str, ...]] = ("loss",)

    def backward(self, call: Call) -> None:
        """DX = 1."""
        if call.grads[0] is not None:
            call.fill(call.grads[0], 1)
