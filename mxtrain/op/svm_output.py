"""SVMOutput: scores with the gradient of a hinge loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Shapes, merge

if TYPE_CHECKING:
    from mxtrain.op.call import Call


@register()
class SVMOutput(Operator):
    r"""One-against-all support vector machine.

    The output is the input. With :math:`v = x` for the class of the label and :math:`v = -x` for
    the others, the loss per class is :math:`r \max(0, margin - v)`, squared unless `use_linear`;
    the gradient is its derivative, whatever head gradient arrives, and the loss reported is its sum
    over the classes.

    .. math:: dv = -2 r \max(0, margin - v) \quad\text{or, linear,}\quad dv = -r [margin > v]

    Shapes: data `(..., K)`, label `(...)` with class numbers.

    Source: MXNet operator `SVMOutput`.
    """

    margin: Annotated[float, "score up to which there is a loss"] = 1.0
    regularization_coefficient: Annotated[float, "r, a factor on loss and gradient"] = 1.0
    use_linear: Annotated[bool, "do not square the hinge"] = False

    argument_names: ClassVar[tuple[str, ...]] = ("data", "label")
    no_gradient: ClassVar[tuple[str, ...]] = ("label",)
    uses_head: ClassVar[bool] = False
    is_loss: ClassVar[bool] = True

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """The label has one number per row of data."""
        data = merge(inputs[0], outputs[0])
        return [data, None if data is None else data[:-1]], [data]

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return data."""
        return [inputs[0]]

    def backward(self, call: Call) -> None:
        """DX is the derivative of the hinge."""
        grad = call.grads[0]
        if grad is None:
            return
        xp = call.xp
        classes = grad.shape[-1]
        data, dx = call.inputs[0].reshape(-1, classes), grad.reshape(-1, classes)
        label = call.inputs[1].reshape(-1, 1)
        wanted = call.temp(label.shape, label.dtype)
        hit = call.temp(data.shape, bool)
        call.emit(xp.trunc, label, wanted)
        call.emit(xp.equal, wanted, call.constant(range(classes), label.dtype), hit)
        gradient = _linear if self.use_linear else _squared
        scalars = {"margin": self.margin, "r": self.regularization_coefficient}
        call.formula(gradient, [data, hit], [dx], **scalars)

    def loss(self, xp: Any, output: Any, label: Any) -> tuple[float, int]:
        """Return the sum of the hinge over rows and classes, and the number of rows."""
        scores = output.reshape(-1, output.shape[-1])
        hit = label.reshape(-1, 1).astype("int64") == xp.arange(scores.shape[1])
        hinge = xp.maximum(self.margin - xp.where(hit, scores, -scores), 0)
        total = float((hinge if self.use_linear else hinge * hinge).sum(dtype="float64"))
        return self.regularization_coefficient * total, scores.shape[0]


def _linear(xp: Any) -> Any:
    def gradient(x: Any, hit: Any, margin: Any, r: Any) -> Any:
        sign = 2 * hit - 1
        return -r * sign * (sign * x < margin)

    return gradient


def _squared(xp: Any) -> Any:
    def gradient(x: Any, hit: Any, margin: Any, r: Any) -> Any:
        sign = 2 * hit - 1
        return (-2 * r) * sign * xp.maximum(margin - sign * x, 0)

    return gradient
