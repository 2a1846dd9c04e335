"""Reductions over axes: sum, mean, prod, max, min, norm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Le

from mxtrain.op.base import Operator, register
from mxtrain.op.pointwise import pointwise
from mxtrain.op.shape import Mismatch, Shapes, axis_of, size

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


class Reduce(Operator):
    """Base of the reductions.

    Shapes: the reduced axes disappear, or stay with size 1 with `keepdims`. Reducing everything
    without `keepdims` gives shape `(1,)`.
    """

    axis: Annotated[tuple[int, ...] | None, "axes to reduce; all when None or empty"] = None
    keepdims: Annotated[bool, "keep the reduced axes with size 1"] = False
    exclude: Annotated[bool, "reduce the axes that are not named instead"] = False

    # The array function whose `reduce` does the work.
    function: ClassVar[str] = "add"

    def axes(self, ndim: int) -> tuple[int, ...]:
        """Return the axes that are reduced, ascending."""
        if not self.axis:
            return tuple(range(ndim))
        named = [axis_of(axis, ndim) for axis in self.axis]
        if len(set(named)) != len(named):
            raise Mismatch(f"axis={self.axis} names an axis twice")
        return tuple(axis for axis in range(ndim) if (axis in named) != self.exclude)

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output from data."""
        data = inputs[0]
        if data is None:
            return inputs, [None]
        axes = self.axes(len(data))
        if self.keepdims:
            return inputs, [tuple(1 if i in axes else n for i, n in enumerate(data))]
        return inputs, [tuple(n for i, n in enumerate(data) if i not in axes) or (1,)]

    def count(self, call: Call) -> int:
        """Return the number of elements that make one output."""
        shape = call.inputs[0].shape
        return size([shape[axis] for axis in self.axes(len(shape))])

    def spread(self, call: Call, array: Array) -> Array:
        """View an array of the output's shape so that it broadcasts against the data."""
        shape = call.inputs[0].shape
        axes = self.axes(len(shape))
        return array.reshape(tuple(1 if i in axes else n for i, n in enumerate(shape)))

    def reduce(self, call: Call, source: Array, target: Array) -> None:
        """Add the line that reduces `source`, of the data's shape, into `target`."""
        axes = self.axes(source.ndim)
        kept = tuple(n for i, n in enumerate(source.shape) if i not in axes)
        ufunc = getattr(call.xp, self.function)
        call.emit(ufunc.reduce, source, axes, None, target.reshape(kept))

    def forward(self, call: Call) -> None:
        """Y = the reduction of X."""
        self.reduce(call, call.inputs[0], call.outputs[0])


@register("sum", aliases=("sum_axis",))
class Sum(Reduce):
    """Sum over axes.

    Source: MXNet operator `sum`.
    """

    def backward(self, call: Call) -> None:
        """DX = G, repeated."""
        if call.grads[0] is not None:
            call.copy(self.spread(call, call.heads[0]), call.grads[0])


@register("mean")
class Mean(Reduce):
    """Arithmetic mean over axes.

    Source: MXNet operator `mean`.
    """

    def forward(self, call: Call) -> None:
        """Y = sum of X / n."""
        out = call.outputs[0]
        super().forward(call)
        pointwise(call, "divide", [out], out, through_float=True, count=self.count(call))

    def backward(self, call: Call) -> None:
        """DX = G / n, repeated."""
        grad = call.grads[0]
        if grad is not None:
            count = call.constant(self.count(call), grad.dtype)
            call.emit(call.xp.divide, self.spread(call, call.heads[0]), count, grad)


class Extreme(Reduce):
    """Base of max and min."""

    def backward(self, call: Call) -> None:
        """DX = G at every element that equals the extreme, 0 elsewhere."""
        if call.grads[0] is not None:
            y, head = self.spread(call, call.outputs[0]), self.spread(call, call.heads[0])
            call.formula(_at_extreme, [call.inputs[0], y, head], [call.grads[0]])


def _at_extreme(xp: Any) -> Any:
    return lambda x, y, g: g * xp.equal(x, y)


@register("max", aliases=("max_axis",))
class Max(Extreme):
    """Largest value over axes. Every element that ties receives the full gradient.

    Source: MXNet operator `max`.
    """

    function: ClassVar[str] = "maximum"


@register("min", aliases=("min_axis",))
class Min(Extreme):
    """Smallest value over axes. Every element that ties receives the full gradient.

    Source: MXNet operator `min`.
    """

    function: ClassVar[str] = "minimum"


@register("prod")
class Prod(Reduce):
    """Product over axes. The gradient of an element is the product of all the others.

    Source: MXNet operator `prod`, which divides the product by the element and so gives no number
    where an element is 0.
    """

    function: ClassVar[str] = "multiply"

    def backward(self, call: Call) -> None:
        """DX = G times the product of the other elements, also where some are 0."""
        data, grad = call.inputs[0], call.grads[0]
        if grad is None:
            return
        xp = call.xp
        is_zero = call.temp(data.shape, bool)
        others = call.temp(data.shape, grad.dtype)
        zeros = call.temp(call.outputs[0].shape, grad.dtype)
        product = call.temp(call.outputs[0].shape, grad.dtype)
        axes = self.axes(data.ndim)
        kept = tuple(n for i, n in enumerate(data.shape) if i not in axes)
        call.emit(xp.equal, data, call.constant(0, data.dtype), is_zero)
        call.emit(xp.add, data, is_zero, others)  # 1 in place of each 0
        self.reduce(call, others, product)
        call.emit(xp.add.reduce, is_zero, axes, grad.dtype, zeros.reshape(kept))
        arrays = [others, is_zero, self.spread(call, product), self.spread(call, zeros)]
        call.formula(_product_of_others, [*arrays, self.spread(call, call.heads[0])], [grad])


def _product_of_others(xp: Any) -> Any:
    # Elements are left with their own zero counted out: no other zero, or the result is 0.
    return lambda x, is_zero, product, zeros, g: g * (product / x) * xp.equal(zeros, is_zero)


@register("norm")
class Norm(Reduce):
    r"""Norm over axes: :math:`\sqrt{\sum x^2}`, or :math:`\sum |x|` with `ord` 1.

    The gradient at a norm of 0 is 0.

    Source: MXNet operator `norm`, whose gradient at a norm of 0 is not a number.
    """

    ord: Annotated[int, Ge(1), Le(2), "which norm"] = 2

    def forward(self, call: Call) -> None:
        """Y = the norm of X."""
        data, out = call.inputs[0], call.outputs[0]
        parts = call.temp(data.shape, data.dtype)
        call.emit(call.xp.square if self.ord == 2 else call.xp.absolute, data, parts)
        self.reduce(call, parts, out)
        if self.ord == 2:
            pointwise(call, "sqrt", [out], out, through_float=True)

    def backward(self, call: Call) -> None:
        """DX = G X / Y, or G sign(X)."""
        if call.grads[0] is not None:
            y, head = self.spread(call, call.outputs[0]), self.spread(call, call.heads[0])
            rule = _along if self.ord == 2 else _signed
            call.formula(rule, [call.inputs[0], y, head], [call.grads[0]])


def _along(xp: Any) -> Any:
    return lambda x, y, g: (g / xp.where(xp.equal(y, 0), 1, y)) * x


def _signed(xp: Any) -> Any:
    return lambda x, y, g: g * xp.sign(x)
