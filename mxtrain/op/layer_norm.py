"""LayerNorm: normalization along one axis of every sample."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from mxtrain.op.base import Operator, register
from mxtrain.op.moments import (
    accumulator,
    gradient_lines,
    inverse_deviation,
    moments_lines,
    moments_of,
)
from mxtrain.op.shape import Shape, Shapes, axis_of, merge

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


@register()
class LayerNorm(Operator):
    r"""Normalize along `axis` to mean 0 and variance 1, then scale and shift.

    .. math:: y = \gamma \hat x + \beta \qquad \hat x = (x - \mu) / \sqrt{\sigma^2 + eps}

    Shapes: data any, gamma and beta the size of `axis`. With `output_mean_var` two more outputs,
    `mean` and `std` :math:`= \sqrt{\sigma^2 + eps}`, with `axis` of size 1; gradients arriving at
    those two are ignored.

    Source: MXNet operator `LayerNorm`; Ba, Kiros and Hinton 2016, arXiv:1607.06450.
    """

    axis: Annotated[int, "the axis to normalize along; negative counts from the end"] = -1
    eps: Annotated[float, "added to the variance"] = 1e-5
    output_mean_var: Annotated[bool, "give mean and standard deviation as outputs"] = False

    argument_names: ClassVar[tuple[str, ...]] = ("data", "gamma", "beta")

    def outputs(self) -> tuple[str, ...]:
        """Return ``output``, and with `output_mean_var` ``mean`` and ``std``."""
        return ("output", "mean", "std") if self.output_mean_var else ("output",)

    def hidden_outputs(self) -> int:
        """MXNet's files count mean and deviation even where they are not visible."""
        return 0 if self.output_mean_var else 2

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Vectors have the size of the axis, statistics the shape of data with that axis 1."""
        data = merge(inputs[0], outputs[0])
        vector: Shape = (0,)
        for shape in inputs[1:]:
            vector = merge(vector, shape)
        reduced: Shape = None
        if data is not None and vector is not None:
            axis = axis_of(self.axis, len(data))
            vector = merge(vector, (data[axis],)) or (0,)
            data = (*data[:axis], vector[0], *data[axis + 1 :])
            reduced = (*data[:axis], 1, *data[axis + 1 :])
        return [data, vector, vector], [data] + [reduced] * (len(outputs) - 1)

    def _axis(self, call: Call) -> int:
        return self.axis % call.inputs[0].ndim

    def _along(self, call: Call, vector: Array) -> Array:
        """View gamma or beta with as many axes as data."""
        ndim, axis = call.inputs[0].ndim, self._axis(call)
        return vector.reshape([-1 if i == axis else 1 for i in range(ndim)])

    def forward(self, call: Call) -> None:
        """Y = (X - mean) * inverse * gamma + beta."""
        axes = (self._axis(call),)
        moments = moments_of(call, axes)
        moments_lines(call, axes, moments)
        call.formula(inverse_deviation, [moments.variance], [moments.inverse], eps=self.eps)
        gamma, beta = (self._along(call, vector) for vector in call.inputs[1:])
        call.formula(
            _normalized, [moments.centred, moments.inverse, gamma, beta], [call.outputs[0]]
        )
        if self.output_mean_var:
            call.copy(moments.mean, call.outputs[1])
            call.formula(_deviation, [moments.variance], [call.outputs[2]], eps=self.eps)

    def backward(self, call: Call) -> None:
        """DX = (d - mean(d) - xhat mean(d xhat)) inverse with d = G gamma."""
        xp = call.xp
        axis, head = self._axis(call), call.heads[0]
        moments = moments_of(call, (axis,))
        dtype = accumulator(call)
        d_data, d_gamma, d_beta = call.grads
        product = call.temp(head.shape, dtype)
        if d_gamma is not None:
            arrays = [head, moments.centred, moments.inverse]
            call.formula(_times_normalized, arrays, [product])
            call.sum_to(product, self._along(call, d_gamma))
        if d_beta is not None:
            call.sum_to(head, self._along(call, d_beta))
        if d_data is not None:
            d = call.temp(head.shape, dtype)
            call.emit(xp.multiply, head, self._along(call, call.inputs[1]), d)
            sum_d, sum_dc = (call.temp(moments.mean.shape, dtype) for _ in range(2))
            call.sum(d, (axis,), sum_d)
            call.emit(xp.multiply, d, moments.centred, product)
            call.sum(product, (axis,), sum_dc)
            gradient_lines(call, moments, d, moments.inverse, (sum_d, sum_dc), d_data)


def _normalized(xp: Any) -> Any:
    return lambda centred, inverse, gamma, beta: centred * inverse * gamma + beta


def _times_normalized(xp: Any) -> Any:
    return lambda head, centred, inverse: head * (centred * inverse)


def _deviation(xp: Any) -> Any:
    return lambda variance, eps: xp.sqrt(variance + eps)
