"""BatchNorm: normalization per channel over the batch, with moving averages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mxtrain.op.base import DTypes, Operator, register
from mxtrain.op.moments import (
    Axes,
    Moments,
    gradient_lines,
    inverse_deviation,
    moments_lines,
    moments_of,
)
from mxtrain.op.shape import Shape, Shapes, axis_of, merge

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


@register()
class BatchNorm(Operator):
    r"""Normalize every channel to mean 0 and variance 1, then scale and shift it.

    .. math:: y = \gamma \hat x + \beta \qquad \hat x = (x - \mu) / \sqrt{\sigma^2 + eps}

    :math:`\mu, \sigma^2` (divided by the number of values, not one less) are those of the batch in
    training without `use_global_stats`, else the moving averages. Those move in the backward pass
    of training: ``moving = moving * momentum + batch * (1 - momentum)``, with the batch of the
    latest forward.

    Shapes: data any, the other inputs `(C,)` with C the size of `axis`; float32 where data is
    float16. With `output_mean_var` two more outputs `(C,)`: the mean, and :math:`1/\sqrt{\sigma^2 +
    eps}` under the name `var`; gradients arriving at those two are ignored.

    With `fix_gamma` gamma counts as 1, gets no gradient, and 1 is written into it whenever the
    graph is bound with a gradient.

    Source: MXNet operator `BatchNorm`; Ioffe and Szegedy 2015, arXiv:1502.03167.
    """

    eps: Annotated[float, "added to the variance"] = 1e-3
    momentum: Annotated[float, "weight of the old moving average"] = 0.9
    fix_gamma: Annotated[bool, "hold gamma at 1"] = True
    use_global_stats: Annotated[bool, "use the moving averages in training too"] = False
    output_mean_var: Annotated[bool, "give mean and inverse deviation as outputs"] = False
    axis: Annotated[int, "the channel axis; negative counts from the end"] = 1
    cudnn_off: Annotated[bool, "accepted for MXNet's files; there is no cuDNN here"] = False

    argument_names: ClassVar[tuple[str, ...]] = ("data", "gamma", "beta")
    auxiliary_names: ClassVar[tuple[str, ...]] = ("moving_mean", "moving_var")
    default_init: ClassVar[Mapping[str, str]] = {
        "moving_mean": '["zero", {}]',
        "moving_var": '["one", {}]',
    }

    def outputs(self) -> tuple[str, ...]:
        """Return ``output``, and with `output_mean_var` ``mean`` and ``var``."""
        return ("output", "mean", "var") if self.output_mean_var else ("output",)

    def hidden_outputs(self) -> int:
        """MXNet's files count mean and variance even where they are not visible."""
        return 0 if self.output_mean_var else 2

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Vectors have the size of the channel axis, which they can also tell."""
        data = merge(inputs[0], outputs[0])
        vector: Shape = (0,)
        for shape in (*inputs[1:], *outputs[1:]):
            vector = merge(vector, shape)
        if data is not None and vector is not None:
            axis = axis_of(self.axis, len(data))
            vector = merge(vector, (data[axis],)) or (0,)
            data = (*data[:axis], vector[0], *data[axis + 1 :])
        return [data] + [vector] * 4, [data] + [vector] * (len(outputs) - 1)

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """One type for all, but float32 vectors beside float16 data."""
        known = next((t for t in (*inputs[1:], *outputs[1:]) if t is not None), None)
        data = inputs[0] or outputs[0] or (None if known == "float32" else known)
        vector = "float32" if data == "float16" else data
        return [data] + [vector] * 4, [data] + [vector] * (len(outputs) - 1)

    def _axes(self, call: Call) -> Axes:
        ndim = call.inputs[0].ndim
        return tuple(i for i in range(ndim) if i != self.axis % ndim)

    def _uses_batch(self, call: Call) -> bool:
        return call.is_train and not self.use_global_stats

    def forward(self, call: Call) -> None:
        """Y = (X - mean) * (gamma * inverse) + beta."""
        xp = call.xp
        data, gamma, beta = call.inputs
        if self.fix_gamma and call.has_gradients:
            call.fill(gamma, 1)
        axes = self._axes(call)
        moments = moments_of(call, axes)
        if self._uses_batch(call):
            moments_lines(call, axes, moments)
        else:
            for vector, moving in zip(moments[:2], call.aux, strict=True):
                call.copy(moving, vector.reshape(-1))
            call.emit(xp.subtract, data, moments.mean, moments.centred)
        call.formula(inverse_deviation, [moments.variance], [moments.inverse], eps=self.eps)
        scale = self._scale(call, moments, gamma)
        shift = beta.reshape(scale.shape)
        call.formula(_scale_and_shift, [moments.centred, scale, shift], [call.outputs[0]])
        visible = (moments.mean, moments.inverse)
        for vector, output in zip(visible, call.outputs[1:], strict=False):
            call.copy(vector.reshape(-1), output)

    def _scale(self, call: Call, moments: Moments, gamma: Array) -> Array:
        """Return gamma over the standard deviation."""
        if self.fix_gamma:
            return moments.inverse
        scale = call.temp(moments.inverse.shape, moments.inverse.dtype)
        call.emit(call.xp.multiply, moments.inverse, gamma.reshape(scale.shape), scale)
        return scale

    def backward(self, call: Call) -> None:
        """DX through the statistics of the batch, or of the moving averages; move those."""
        axes = self._axes(call)
        moments = moments_of(call, axes)
        head, gamma = call.heads[0], call.inputs[1]
        sums = self._sums(call, head, moments, axes)
        d_data, d_gamma, d_beta = call.grads
        if d_data is not None:
            scale = self._scale(call, moments, gamma)
            if self._uses_batch(call):
                gradient_lines(call, moments, head, scale, sums, d_data)
            else:
                call.emit(call.xp.multiply, head, scale, d_data)
        if d_gamma is not None and self.fix_gamma:
            call.fill(d_gamma, 0)
        elif d_gamma is not None:
            inverse = moments.inverse.reshape(-1)
            call.emit(call.xp.multiply, sums[1].reshape(-1), inverse, d_gamma)
        if d_beta is not None:
            call.copy(sums[0].reshape(-1), d_beta)
        if self._uses_batch(call):
            for moving, vector in zip(call.aux, moments[:2], strict=True):
                batch = vector.reshape(-1)
                call.formula(_blend, [moving, batch], [moving], momentum=self.momentum)

    def _sums(self, call: Call, head: Array, moments: Moments, axes: Axes) -> tuple[Array, Array]:
        """Return the sums of g and of g * centred per channel."""
        shape, dtype = moments.mean.shape, moments.mean.dtype
        sum_g, sum_gc = call.temp(shape, dtype), call.temp(shape, dtype)
        product = call.temp(head.shape, dtype)
        call.sum(head, axes, sum_g)
        call.emit(call.xp.multiply, head, moments.centred, product)
        call.sum(product, axes, sum_gc)
        return sum_g, sum_gc


def _scale_and_shift(xp: Any) -> Any:
    return lambda centred, scale, shift: centred * scale + shift


def _blend(xp: Any) -> Any:
    return lambda moving, batch, momentum: moving * momentum + batch * (1 - momentum)
