"""Mean and variance as lines of a plan, and the gradient through them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call

Axes = tuple[int, ...]


class Moments(NamedTuple):
    """What a normalization keeps from forward to backward.

    `mean`, `variance` and `inverse` (one over the standard deviation) have the shape of the data
    with the reduced axes of size 1; `centred` is data minus mean.
    """

    mean: Array
    variance: Array
    inverse: Array
    centred: Array


def accumulator(call: Call) -> Any:
    """Return the element type for statistics: float32 for float16 data, else that of the data."""
    dtype = call.inputs[0].dtype
    return call.xp.float32 if dtype == "float16" else dtype


def moments_of(call: Call, axes: Axes) -> Moments:
    """Return this node's buffers for moments of its data over `axes`."""
    shape = call.inputs[0].shape
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(shape))
    dtype = accumulator(call)
    mean, variance, inverse = (
        call.scratch(name, kept, dtype) for name in ("mean", "variance", "inverse")
    )
    return Moments(mean, variance, inverse, call.scratch("centred", shape, dtype))


def moments_lines(call: Call, axes: Axes, moments: Moments) -> None:
    """Add the lines that fill mean, variance (divided by the count) and centred from the data."""
    data, centred = call.inputs[0], moments.centred
    weight = moments.mean.size / data.size
    call.sum(data, axes, moments.mean)
    call.scale(moments.mean, weight)
    call.emit(call.xp.subtract, data, moments.mean, centred)
    squares = call.temp(data.shape, centred.dtype)
    call.emit(call.xp.multiply, centred, centred, squares)
    call.sum(squares, axes, moments.variance)
    call.scale(moments.variance, weight)


def inverse_deviation(xp: Any) -> Any:
    """One over the standard deviation."""
    return lambda variance, eps: 1 / xp.sqrt(variance + eps)


def gradient_lines(
    call: Call, moments: Moments, d: Array, factor: Array, sums: tuple[Array, Array], dx: Array
) -> None:
    """Add the lines of the gradient through a normalization.

    ``dx = factor (d - mean(d) - xhat mean(d xhat))`` with ``xhat = centred inverse``, from `sums`:
    those of ``d`` and of ``d centred``, shaped like the mean.
    """
    shift, slope = (call.temp(factor.shape, factor.dtype) for _ in range(2))
    call.formula(
        _line_to_subtract,
        [*sums, moments.inverse, factor],
        [shift, slope],
        weight=moments.mean.size / moments.centred.size,
    )
    call.formula(_subtract_line, [d, factor, moments.centred, slope, shift], [dx])


def _line_to_subtract(xp: Any) -> Any:
    def line(d: Any, d_centred: Any, inverse: Any, factor: Any, weight: Any) -> Any:
        scaled = factor * weight
        return scaled * d, scaled * inverse * inverse * d_centred

    return line


def _subtract_line(xp: Any) -> Any:
    return lambda d, factor, centred, slope, shift: d * factor - centred * slope - shift
