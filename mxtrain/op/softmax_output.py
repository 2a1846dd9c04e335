"""SoftmaxOutput: softmax forward, cross-entropy gradient backward."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Le

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shape, Shapes, is_complete, show, size
from mxtrain.op.softmax import softmax_lines

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call

# Probabilities are floored here before the logarithm, as MXNet's cross-entropy metric does.
LOG_FLOOR = 1e-12


@register(aliases=("Softmax",))
class SoftmaxOutput(Operator):
    r"""Softmax with the gradient of its cross-entropy against the labels.

    .. math:: p_k = e^{x_k} / \sum_j e^{x_j} \qquad dx = s (p - onehot(label)) / d

    `s` is `grad_scale`; the divisor `d` follows `normalization`. The head gradient is ignored
    unless `out_grad` is set. A label of exactly the data's shape holds probabilities: then
    :math:`dx = s (p - label)` and no other option applies.

    Shapes: data `(N, K)`, label `(N,)`; with `multi_output` data `(N, K, ...)`, label `(N, ...)`.

    Source: MXNet operator `SoftmaxOutput`. MXNet 1.9.1 multiplies by the output where `out_grad`
    asks for the head gradient; here it is the head gradient.
    """

    grad_scale: Annotated[float, "factor on the gradient"] = 1.0
    ignore_label: Annotated[float, "class number that gives no gradient with use_ignore"] = -1.0
    use_ignore: Annotated[bool, "leave rows of ignore_label out"] = False
    multi_output: Annotated[bool, "softmax along axis 1, one label per position"] = False
    preserve_shape: Annotated[bool, "softmax along the last axis"] = False
    normalization: Annotated[
        Literal["null", "batch", "valid"],
        "divide the gradient by nothing, the number of labels, or that of labels not ignored",
    ] = "null"
    out_grad: Annotated[bool, "multiply the gradient by the head gradient"] = False
    smooth_alpha: Annotated[float, Ge(0), Le(1), "label smoothing"] = 0.0

    argument_names: ClassVar[tuple[str, ...]] = ("data", "label")
    no_gradient: ClassVar[tuple[str, ...]] = ("label",)
    is_loss: ClassVar[bool] = True

    @property
    def uses_head(self) -> bool:
        """Whether the head gradient counts: with `out_grad` only."""
        return self.out_grad

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the label from data; accept the other label shapes MXNet accepts."""
        data = inputs[0] if inputs[0] is not None else outputs[0]
        label = inputs[1]
        if data is None:
            return [None, label], [None]
        wanted = self._label_shape(data)
        if label is None:
            label = wanted
        elif is_complete(label) and is_complete(data) and label not in self._label_shapes(data):
            raise Mismatch(
                f"label should be {show(wanted)} for data {show(data)}, it is {show(label)}"
            )
        return [data, label], [data]

    def _label_shape(self, data: tuple[int, ...]) -> Shape:
        return (data[0], size(data[2:])) if self.multi_output else data[:-1]

    def _label_shapes(self, data: tuple[int, ...]) -> list[Shape]:
        shapes: list[Shape] = [self._label_shape(data), data]
        if self.multi_output:
            shapes += [(data[0], *data[2:]), (data[0], 1, *data[2:])]
        return shapes

    def _canonical(self, array: Array) -> tuple[Array, int]:
        """View data as (rows, K) with axis 1, or (N, K, positions) with `multi_output`."""
        shape = array.shape
        if self.multi_output:
            return array.reshape(shape[0], shape[1], -1), 1
        if self.preserve_shape:
            return array.reshape(-1, shape[-1]), 1
        return array.reshape(shape[0], -1), 1

    def forward(self, call: Call) -> None:
        """P = softmax(X); the label is not read."""
        data, axis = self._canonical(call.inputs[0])
        out, _ = self._canonical(call.outputs[0])
        softmax_lines(call, data, out, axis)

    def backward(self, call: Call) -> None:
        """DX = grad_scale (P - target) / divisor."""
        label, grad = call.inputs[1], call.grads[0]
        if grad is None:
            return
        if label.shape == call.outputs[0].shape:
            call.emit(call.xp.subtract, call.outputs[0], label, grad)
            call.scale(grad, self.grad_scale)
        else:
            prob, _ = self._canonical(call.outputs[0])
            dx, _ = self._canonical(grad)
            self._subtract_target(call, prob, label, dx)
            self._normalize(call, label, dx)
        if self.out_grad:
            call.emit(call.xp.multiply, grad, call.heads[0], grad)

    def _subtract_target(self, call: Call, prob: Array, label: Array, dx: Array) -> None:
        xp = call.xp
        classes = prob.shape[1]
        rows = (prob.shape[0], 1, *prob.shape[2:])
        wanted = call.temp(rows, label.dtype)
        flat_label = label.reshape(-1)[: wanted.size].reshape(rows)
        call.emit(xp.trunc, flat_label, wanted)
        hit = call.temp(prob.shape, bool)
        numbers = call.constant(range(classes), label.dtype)
        numbers = numbers.reshape((1, classes) + (1,) * (prob.ndim - 2))
        call.emit(xp.equal, wanted, numbers, hit)
        if self.smooth_alpha and not self.multi_output:
            call.formula(_smoothed, [prob, hit], [dx], alpha=self.smooth_alpha, rest=classes - 1)
        else:
            call.emit(xp.subtract, prob, hit, dx)
        if self.use_ignore:
            keep = call.temp(rows, bool)
            ignored = call.constant(int(self.ignore_label), label.dtype)
            call.emit(xp.not_equal, wanted, ignored, keep)
            call.emit(xp.multiply, dx, keep, dx)

    def _normalize(self, call: Call, label: Array, dx: Array) -> None:
        xp = call.xp
        if self.normalization == "valid":
            count = call.temp((), dx.dtype)
            kept = call.temp(label.shape, bool)
            ignored = call.constant(int(self.ignore_label), label.dtype)
            call.emit(xp.trunc, label, number := call.temp(label.shape, label.dtype))
            call.emit(xp.not_equal, number, ignored, kept)
            call.emit(xp.add.reduce, kept, None, None, count)
            call.formula(_per_valid, [dx, count], [dx], scale=self.grad_scale)
            return
        positions = dx.shape[2] if self.multi_output else 1
        divisor = positions if self.normalization == "null" else label.size
        if self.normalization == "batch" and self.multi_output:
            divisor = dx.shape[0] * positions
        call.scale(dx, self.grad_scale / divisor)

    def loss(self, xp: Any, output: Any, label: Any) -> tuple[float, int]:
        """Cross-entropy of the true classes, rows with the ignored label left out."""
        if label.shape == output.shape:
            entropy = -label * xp.log(xp.maximum(output, LOG_FLOOR))
            return float(entropy.sum(dtype="float64")), output.shape[0]
        prob, _ = self._canonical(output)
        prob = xp.moveaxis(prob, 1, -1).reshape(-1, prob.shape[1])
        wanted = label.reshape(-1)[: prob.shape[0]].astype("int64")
        counted = (wanted >= 0) & (wanted < prob.shape[1])
        if self.use_ignore:
            counted &= wanted != int(self.ignore_label)
        chosen = prob[counted, wanted[counted]]
        return float(-xp.log(xp.maximum(chosen, LOG_FLOOR)).sum(dtype="float64")), chosen.size


def _per_valid(xp: Any) -> Any:
    return lambda dx, count, scale: dx * (scale / xp.maximum(count, 1))


def _smoothed(xp: Any) -> Any:
    """P minus a target of 1 - alpha on the class and alpha shared by the others."""
    return lambda prob, hit, alpha, rest: prob - alpha / rest - hit * (1 - alpha - alpha / rest)
