"""LinearRegressionOutput, LogisticRegressionOutput, MAERegressionOutput, as one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple

from mxtrain.op.activation import sigmoid
from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shape, Shapes, is_complete, show, size

if TYPE_CHECKING:
    from mxtrain.op.call import Call

Formula = Callable[[Any], Callable[..., Any]]

# Probabilities are kept this far from 0 and 1 before the logarithm of the reported loss.
LOG_FLOOR = 1e-12


class Rule(NamedTuple):
    """What a regression computes.

    ``y = forward(x)`` (None: y is x), ``dx = factor * gradient(y, label)``, and the loss reported
    for every value, ``loss(xp, y, label)``.
    """

    forward: Formula | None
    gradient: Formula
    loss: Callable[[Any, Any, Any], Any]


def _difference(xp: Any) -> Any:
    return lambda y, label, factor: factor * (y - label)


def _cross_entropy(xp: Any, y: Any, label: Any) -> Any:
    yes, no = xp.maximum(y, LOG_FLOOR), xp.maximum(1 - y, LOG_FLOOR)
    return -(label * xp.log(yes) + (1 - label) * xp.log(no))


LINEAR = Rule(None, _difference, lambda xp, y, label: (y - label) ** 2)
LOGISTIC = Rule(sigmoid, _difference, _cross_entropy)
# The sign of a difference of 0 is -1, as in MXNet.
ABSOLUTE = Rule(
    None,
    lambda xp: lambda y, label, factor: factor * (2 * (y > label) - 1),
    lambda xp, y, label: xp.abs(y - label),
)


class RegressionOutput(Operator):
    """What the regressions share; a label of any shape with as many values per row will do."""

    grad_scale: Annotated[float, "factor on the gradient"] = 1.0

    argument_names: ClassVar[tuple[str, ...]] = ("data", "label")
    no_gradient: ClassVar[tuple[str, ...]] = ("label",)
    uses_head: ClassVar[bool] = False
    is_loss: ClassVar[bool] = True
    rule: ClassVar[Rule]

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """The label defaults to data's shape, to `(N,)` for data `(N, 1)`."""
        data = inputs[0] if inputs[0] is not None else outputs[0]
        label = inputs[1]
        if label is None:
            label = _label_shape(data)
        elif data is not None and is_complete(data) and is_complete(label):
            _check_label(data, label)
        return [data, label], [data]

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return data where it is the output."""
        return [inputs[0]] if self.rule.forward is None else None

    def forward(self, call: Call) -> None:
        """Y = X, or its sigmoid; the label is not read."""
        if self.rule.forward is not None:
            call.formula(self.rule.forward, call.inputs[:1], call.outputs)

    def backward(self, call: Call) -> None:
        """DX = grad_scale / m times the gradient per value, with m values per row."""
        if call.grads[0] is None:
            return
        out, label = call.outputs[0], call.inputs[1]
        factor = self.grad_scale * label.shape[0] / label.size
        arrays = [out, label.reshape(out.shape)]
        call.formula(self.rule.gradient, arrays, [call.grads[0]], factor=factor)

    def loss(self, xp: Any, output: Any, label: Any) -> tuple[float, int]:
        """Return the sum over rows of the mean loss per value, and the number of rows."""
        values = self.rule.loss(xp, output, label.reshape(output.shape))
        rows = output.shape[0]
        return float(values.sum(dtype="float64")) * rows / max(output.size, 1), rows


def _check_label(data: tuple[int, ...], label: tuple[int, ...]) -> None:
    if label[0] != data[0] or size(label) != size(data):
        raise Mismatch(
            f"label should have the rows and the size of data {show(data)}, it is {show(label)}"
        )


def _label_shape(data: Shape) -> Shape:
    if data is not None and len(data) == 2 and data[1] == 1:
        return data[:1]
    return data


@register()
class LinearRegressionOutput(RegressionOutput):
    r"""Regression with the squared error.

    .. math:: y = x \qquad dx = s (y - label) / m

    `s` is `grad_scale`, `m` the number of values per row. The gradient is that of **half** the mean
    squared error per value, the loss reported is the mean squared error itself.

    Shapes: data any, label the same; `(N,)` for data `(N, 1)`; or any shape with the same first
    axis and size.

    Source: MXNet operator `LinearRegressionOutput`.
    """

    rule: ClassVar[Rule] = LINEAR


@register()
class LogisticRegressionOutput(RegressionOutput):
    r"""Sigmoid with the gradient of its cross-entropy.

    .. math:: y = 1 / (1 + e^{-x}) \qquad dx = s (y - label) / m

    `s` is `grad_scale`, `m` the number of values per row. The loss reported is the binary
    cross-entropy per value, of which this is the gradient. Shapes as for `LinearRegressionOutput`.

    Source: MXNet operator `LogisticRegressionOutput`.
    """

    rule: ClassVar[Rule] = LOGISTIC


@register()
class MAERegressionOutput(RegressionOutput):
    r"""Regression with the absolute error.

    .. math:: y = x \qquad dx = s \, \mathrm{sign}(y - label) / m

    `s` is `grad_scale`, `m` the number of values per row; the sign of 0 is -1. The loss reported is
    the absolute error per value. Shapes as for `LinearRegressionOutput`.

    Source: MXNet operator `MAERegressionOutput`.
    """

    rule: ClassVar[Rule] = ABSOLUTE
