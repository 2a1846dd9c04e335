"""softmax, log_softmax and SoftmaxActivation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from mxtrain.op.base import DTypes, Operator, register
from mxtrain.op.shape import Shapes, axis_of, merge

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


def reduced_row(call: Call, x: Array, axis: int, dtype: Any) -> tuple[Array, Array]:
    """Return a buffer for one number per row, as it broadcasts against `x` and without `axis`."""
    row = call.temp([1 if i == axis else n for i, n in enumerate(x.shape)], dtype)
    return row, row.reshape([n for i, n in enumerate(x.shape) if i != axis])


def softmax_lines(call: Call, x: Array, out: Array, axis: int) -> None:
    """Add the lines of a softmax along `axis` that cannot overflow; `out` may be `x`."""
    xp = call.xp
    row, flat_row = reduced_row(call, x, axis, out.dtype)
    call.emit(xp.maximum.reduce, x, axis, None, flat_row)
    call.emit(xp.subtract, x, row, out)
    call.emit(xp.exp, out, out)
    call.emit(xp.add.reduce, out, axis, None, flat_row)
    call.emit(xp.divide, out, row, out)


def masked_softmax_lines(call: Call, out: Array, keep: Array, axis: int) -> None:
    """Add the lines of a softmax in place over the elements where `keep`; the others become 0."""
    xp = call.xp
    row, flat_row = reduced_row(call, out, axis, out.dtype)
    drop = call.temp(keep.shape, bool)
    call.emit(xp.logical_not, keep, drop)
    lowest = xp.finfo(out.dtype).min
    call.emit(xp.maximum.reduce, out, axis, None, flat_row, False, lowest, keep)
    call.emit(xp.copyto, out, row, "same_kind", drop)  # so that exp gives 1 there, and not overflow
    call.emit(xp.subtract, out, row, out)
    call.emit(xp.exp, out, out)
    call.emit(xp.multiply, out, keep, out)
    call.emit(xp.add.reduce, out, axis, None, flat_row)
    # The greatest element adds 1 to every sum but that of an empty row.
    call.formula(_divided, [out, row], [out])


def _divided(xp: Any) -> Any:
    return lambda power, total: power / xp.maximum(total, 1)


def softmax_gradient_lines(call: Call, p: Array, g: Array, dx: Array, axis: int) -> None:
    """Add the lines of ``dx = p (g - sum(g p))``."""
    product = call.temp(p.shape, p.dtype)
    row, flat_row = reduced_row(call, p, axis, p.dtype)
    call.emit(call.xp.multiply, g, p, product)
    call.emit(call.xp.add.reduce, product, axis, None, flat_row)
    call.formula(_softmax_gradient, [p, g, row], [dx])


def _softmax_gradient(xp: Any) -> Any:
    return lambda p, g, total: p * (g - total)


def _log_softmax_gradient(xp: Any) -> Any:
    return lambda y, g, total: g - xp.exp(y) * total


class RowOperator(Operator):
    """What softmax and log_softmax share: attributes, types, the division by the temperature."""

    axis: Annotated[int, "the axis along which the results sum to 1"] = -1
    temperature: Annotated[float | None, "data is divided by this first; None is 1"] = None
    dtype: Annotated[
        Literal["float16", "float32", "float64"] | None, "type of the output; None is that of data"
    ] = None

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """One shape for both; the axis must exist."""
        data = merge(inputs[0], outputs[0])
        if data is not None:
            axis_of(self.axis, len(data))
        return [data], [data]

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """`dtype` decides the output; otherwise it has data's type."""
        if self.dtype is not None:
            return [*inputs], [self.dtype]
        data = inputs[0] or outputs[0]
        return [data, *inputs[1:]], [data]

    def _axis(self, call: Call) -> int:
        return self.axis % call.inputs[0].ndim

    @property
    def _factor(self) -> float:
        return 1 if self.temperature is None else 1 / self.temperature

    def _scaled(self, call: Call) -> Array:
        """Return data over the temperature: data itself, or the output buffer."""
        data, out = call.inputs[0], call.outputs[0]
        if self._factor == 1:
            return data
        call.emit(call.xp.multiply, data, call.constant(self._factor, out.dtype), out)
        return out


@register("softmax")
class Softmax(RowOperator):
    r"""Softmax along one axis.

    .. math:: p = e^{x/T} / \sum e^{x/T} \qquad dx = p (g - \sum g p) / T

    With `use_length` a second input `length`, shaped like data without `axis`, says how many
    elements of each row count; the others get 0 and no gradient, and a length of 0 gives zeros.

    Source: MXNet operator `softmax`.
    """

    use_length: Annotated[bool, "take the number of valid elements per row as an input"] = False

    argument_names: ClassVar[tuple[str, ...]] = ("data", "length")
    no_gradient: ClassVar[tuple[str, ...]] = ("length",)

    def arguments(self) -> tuple[str, ...]:
        """Return the inputs: length with `use_length` only."""
        return self.argument_names if self.use_length else self.argument_names[:1]

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Data and output have one shape; length is that without the axis."""
        found, out = super().infer_shape(inputs, outputs)
        data = found[0]
        if self.use_length:
            axis = None if data is None else axis_of(self.axis, len(data))
            found.append(
                None if data is None or axis is None else (*data[:axis], *data[axis + 1 :])
            )
        return found, out

    def forward(self, call: Call) -> None:
        """P = softmax(X / T)."""
        out, axis = call.outputs[0], self._axis(call)
        scaled = self._scaled(call)
        if not self.use_length:
            softmax_lines(call, scaled, out, axis)
            return
        if scaled is not out:
            call.copy(scaled, out)
        keep = call.temp(out.shape, bool)
        shape = [1 if i == axis else n for i, n in enumerate(out.shape)]
        places = call.constant(range(out.shape[axis]), call.inputs[1].dtype)
        places = places.reshape([-1 if i == axis else 1 for i in range(out.ndim)])
        call.emit(call.xp.less, places, call.inputs[1].reshape(shape), keep)
        masked_softmax_lines(call, out, keep, axis)

    def backward(self, call: Call) -> None:
        """DX = P (G - sum(G P)) / T."""
        grad = call.grads[0]
        if grad is not None:
            softmax_gradient_lines(call, call.outputs[0], call.heads[0], grad, self._axis(call))
            call.scale(grad, self._factor)


@register("log_softmax")
class LogSoftmax(RowOperator):
    r"""Logarithm of the softmax along one axis.

    .. math:: y = x/T - \log \sum e^{x/T} \qquad dx = (g - e^y \sum g) / T

    Source: MXNet operator `log_softmax`.
    """

    def forward(self, call: Call) -> None:
        """Y = X / T - log(sum(exp(X / T)))."""
        xp, out, axis = call.xp, call.outputs[0], self._axis(call)
        scaled = self._scaled(call)
        row, flat_row = reduced_row(call, out, axis, out.dtype)
        powers = call.temp(out.shape, out.dtype)
        call.emit(xp.maximum.reduce, scaled, axis, None, flat_row)
        call.emit(xp.subtract, scaled, row, out)
        call.emit(xp.exp, out, powers)
        call.emit(xp.add.reduce, powers, axis, None, flat_row)
        call.emit(xp.log, row, row)
        call.emit(xp.subtract, out, row, out)

    def backward(self, call: Call) -> None:
        """DX = (G - exp(Y) sum(G)) / T."""
        grad, head, axis = call.grads[0], call.heads[0], self._axis(call)
        if grad is None:
            return
        row, flat_row = reduced_row(call, head, axis, head.dtype)
        call.emit(call.xp.add.reduce, head, axis, None, flat_row)
        call.formula(_log_softmax_gradient, [call.outputs[0], head, row], [grad])
        call.scale(grad, self._factor)


@register()
class SoftmaxActivation(Operator):
    r"""Softmax over everything but the first axis (`instance`) or along axis 1 (`channel`).

    .. math:: p = e^x / \sum e^x \qquad dx = p (g - \sum g p)

    Source: MXNet operator `SoftmaxActivation`.
    """

    mode: Annotated[
        Literal["instance", "channel"], "over all of a sample, or its channels at each position"
    ] = "instance"

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """One shape for both, of at least two axes."""
        shapes = super().infer_shape(inputs, outputs)
        if shapes[0][0] is not None:
            axis_of(1, len(shapes[0][0]))
        return shapes

    def _rows(self, array: Array) -> Array:
        """View so that the softmax goes along axis 1."""
        n, c, *_ = array.shape
        return array.reshape(n, c, -1) if self.mode == "channel" else array.reshape(n, -1)

    def forward(self, call: Call) -> None:
        """P = softmax(X)."""
        softmax_lines(call, self._rows(call.inputs[0]), self._rows(call.outputs[0]), 1)

    def backward(self, call: Call) -> None:
        """DX = P (G - sum(G P))."""
        if call.grads[0] is not None:
            arrays = (call.outputs[0], call.heads[0], call.grads[0])
            p, g, dx = (self._rows(array) for array in arrays)
            softmax_gradient_lines(call, p, g, dx, 1)
