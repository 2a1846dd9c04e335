"""LeakyReLU: the rectifiers that let negative values through, as one table."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple

from mxtrain.backend.uniform import fill_uniform
from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shape, Shapes, merge, show

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call

# Klambauer and others 2017, arXiv:1706.02515.
SELU_LAMBDA = 1.0507009873554805
SELU_ALPHA = 1.6732632423543772


class Function(NamedTuple):
    """Formulas over ``xp``; the slope is a scalar, or an array that broadcasts.

    ``(y, *kept) = forward(x, slope)`` and ``dx = backward(x, y, g, slope, *kept)``; `kept` counts
    the further results that backward needs.
    """

    forward: Callable[[Any], Callable[..., Any]]
    backward: Callable[[Any], Callable[..., Any]]
    kept: int = 0


def _gelu(xp: Any) -> Any:
    def forward(x: Any, slope: Any) -> Any:
        cdf = 0.5 * (1 + xp.erf(x * math.sqrt(0.5)))
        return x * cdf, cdf

    return forward


def _gelu_gradient(xp: Any) -> Any:
    density = 1 / math.sqrt(2 * math.pi)
    return lambda x, y, g, cdf, slope: g * (cdf + x * (density * xp.exp(-0.5 * x * x)))


def _slope_of_side(x: Any, slope: Any) -> Any:
    """1 where x is positive and the slope elsewhere (much faster than choosing elements)."""
    return (x > 0) + slope * (x <= 0)


# Both sides are computed everywhere: min and max keep the unused one finite.
SLOPED = Function(
    lambda xp: lambda x, slope: x * _slope_of_side(x, slope),
    lambda xp: lambda x, y, g, slope: g * _slope_of_side(x, slope),
)
FUNCTIONS = {
    "leaky": SLOPED,
    "prelu": SLOPED,
    "rrelu": SLOPED,
    # For x <= 0 the derivative slope e^x is y + slope, and |y| <= |slope|.
    "elu": Function(
        lambda xp: lambda x, slope: xp.maximum(x, 0) + slope * xp.expm1(xp.minimum(x, 0)),
        lambda xp: (
            lambda x, y, g, slope: g * _slope_of_side(x, xp.minimum(y, xp.abs(slope)) + slope)
        ),
    ),
    "selu": Function(
        lambda xp: (
            lambda x, slope: (
                SELU_LAMBDA * (xp.maximum(x, 0) + SELU_ALPHA * xp.expm1(xp.minimum(x, 0)))
            )
        ),
        lambda xp: (
            lambda x, y, g, slope: (
                g
                * (SELU_LAMBDA * (x > 0) + (xp.minimum(y, 0) + SELU_LAMBDA * SELU_ALPHA) * (x <= 0))
            )
        ),
    ),
    "gelu": Function(_gelu, _gelu_gradient, kept=1),
}


@register()
class LeakyReLU(Operator):
    r"""Rectifiers with a non-zero negative side; the derivative at 0 is that of the negative side.

    * leaky :math:`x > 0: x; s x` with the slope s; prelu the same with a learned s per channel
      (input gamma); rrelu the same with s drawn uniformly per element in training, and
      `(lower_bound + upper_bound) / 2` otherwise (second output: the slopes)
    * elu :math:`x > 0: x; s (e^x - 1)`; selu :math:`\lambda` times the elu with :math:`s = \alpha`
    * gelu :math:`x \Phi(x)` with the normal distribution function

    Shapes: data `(N, C, ...)`, gamma `(C,)` or `(1,)`.

    Source: MXNet operator `LeakyReLU`. MXNet 1.9.1 gives a wrong gradient for selu, and for prelu's
    gamma behind another layer; here both are the derivative.
    """

    act_type: Annotated[
        Literal["rrelu", "leaky", "prelu", "elu", "selu", "gelu"], "which function"
    ] = "leaky"
    slope: Annotated[float, "slope of the negative side: leaky, elu"] = 0.25
    lower_bound: Annotated[float, "least slope of rrelu"] = 0.125
    upper_bound: Annotated[float, "greatest slope of rrelu"] = 0.334

    argument_names: ClassVar[tuple[str, ...]] = ("data", "gamma")
    default_init: ClassVar[Mapping[str, str]] = {"gamma": '["Constant", {"value": 0.25}]'}

    def arguments(self) -> tuple[str, ...]:
        """Return the inputs: gamma with prelu only."""
        return self.argument_names if self.act_type == "prelu" else self.argument_names[:1]

    def outputs(self) -> tuple[str, ...]:
        """Return the outputs: with rrelu the slopes too."""
        return ("output", "mask") if self.act_type == "rrelu" else ("output",)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """One shape for data and outputs; gamma has one number per channel, or just one."""
        data: Shape = None
        for shape in (inputs[0], *outputs):
            data = merge(data, shape)
        found: Shapes = [data]
        if self.act_type == "prelu":
            found.append(_gamma_shape(data, inputs[1]))
        return found, [data] * len(outputs)

    def forward(self, call: Call) -> None:
        """Y = f(X)."""
        if self.act_type == "rrelu":
            self._choose_slopes(call)
        function = FUNCTIONS[self.act_type]
        arrays, scalars = self._slope(call)
        results = [call.outputs[0], *self._kept(call, function)]
        call.formula(function.forward, [call.inputs[0], *arrays], results, **scalars)

    def backward(self, call: Call) -> None:
        """DX = G f'(X); dgamma = sum of G X where X <= 0."""
        x, head, d_data = call.inputs[0], call.heads[0], call.grads[0]
        function = FUNCTIONS[self.act_type]
        arrays, scalars = self._slope(call)
        if d_data is not None:
            given = [x, call.outputs[0], head, *self._kept(call, function), *arrays]
            call.formula(function.backward, given, [d_data], **scalars)
        if self.act_type == "prelu" and call.grads[1] is not None:
            product = call.temp(x.shape)
            call.formula(_negative_part, [x, head], [product])
            call.sum_to(product, _per_channel(call.grads[1], x.ndim))

    def _slope(self, call: Call) -> tuple[list[Array], dict[str, float]]:
        """Return the slope as an array or as a scalar."""
        if self.act_type == "prelu":
            return [_per_channel(call.inputs[1], call.inputs[0].ndim)], {}
        if self.act_type == "rrelu":
            return [call.outputs[1]], {}
        return [], {"slope": self.slope}

    def _kept(self, call: Call, function: Function) -> list[Array]:
        shape = call.inputs[0].shape
        return [call.scratch(f"kept{number}", shape) for number in range(function.kept)]

    def _choose_slopes(self, call: Call) -> None:
        mask = call.outputs[1]
        if not call.is_train:
            call.fill(mask, (self.lower_bound + self.upper_bound) / 2)
            return
        uniform = call.temp(mask.shape, "float32")
        call.emit(fill_uniform, call.random("mask"), uniform)
        width = self.upper_bound - self.lower_bound
        call.formula(_stretched, [uniform], [mask], low=self.lower_bound, width=width)


def _gamma_shape(data: Shape, gamma: Shape) -> Shape:
    if data is None:
        return gamma
    if gamma is None and len(data) < 2:
        raise Mismatch(f"prelu needs data of at least 2 axes, it is {show(data)}")
    if gamma == (1,):
        return gamma
    return (data[1],) if len(data) > 1 else (1,)


def _per_channel(vector: Array, ndim: int) -> Array:
    """View gamma (or its gradient) so that it broadcasts along axis 1."""
    return vector.reshape([-1 if axis == 1 else 1 for axis in range(max(ndim, 1))])


def _negative_part(xp: Any) -> Any:
    return lambda x, g: g * xp.minimum(x, 0)


def _stretched(xp: Any) -> Any:
    return lambda uniform, low, width: low + uniform * width
