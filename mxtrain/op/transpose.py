"""Operators that permute axes: transpose, SwapAxis."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shapes, axis_of

if TYPE_CHECKING:
    from mxtrain.op.call import Call


class Permutation(Operator):
    """Base: axis `order()[i]` of the input becomes axis i of the output."""

    def order(self, ndim: int) -> tuple[int, ...]:
        """Return the input axes in the output's order."""
        raise NotImplementedError

    def inverse(self, ndim: int) -> tuple[int, ...]:
        """Return the output axes in the input's order."""
        order = self.order(ndim)
        return tuple(order.index(axis) for axis in range(ndim))

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer both ways."""
        data, out = inputs[0], outputs[0]
        if data is None and out is None:
            return inputs, outputs
        if data is None and out is not None:
            data = tuple(out[axis] for axis in self.inverse(len(out)))
        return [data], [tuple(data[axis] for axis in self.order(len(data)))] if data else [out]

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return a view where only axes of size 1 move."""
        seen = inputs[0].transpose(self.order(inputs[0].ndim))
        return [seen] if seen.flags.c_contiguous else None

    def forward(self, call: Call) -> None:
        """Copy X with its axes in the new order."""
        data = call.inputs[0]
        call.copy(data.transpose(self.order(data.ndim)), call.outputs[0])

    def backward(self, call: Call) -> None:
        """DX = G with its axes in the old order."""
        head = call.heads[0]
        if call.grads[0] is not None:
            call.copy(head.transpose(self.inverse(head.ndim)), call.grads[0])


@register("transpose")
class Transpose(Permutation):
    """Permute the axes; the reverse order when `axes` is empty.

    Source: MXNet operator `transpose`.
    """

    axes: Annotated[tuple[int, ...], "input axes in the output's order; () reverses"] = ()

    def order(self, ndim: int) -> tuple[int, ...]:
        """Return `axes`, or the axes backwards."""
        if not self.axes:
            return tuple(reversed(range(ndim)))
        order = tuple(axis_of(axis, ndim) for axis in self.axes)
        if sorted(order) != list(range(ndim)):
            raise Mismatch(f"axes={self.axes} should name each of the {ndim} axes once")
        return order


@register(aliases=("swapaxes",))
class SwapAxis(Permutation):
    """Exchange two axes.

    Source: MXNet operator `SwapAxis`.
    """

    dim1: Annotated[int, "first axis"] = 0
    dim2: Annotated[int, "second axis"] = 0

    def order(self, ndim: int) -> tuple[int, ...]:
        """Return the axes with two exchanged."""
        order = list(range(ndim))
        first, second = axis_of(self.dim1, ndim), axis_of(self.dim2, ndim)
        order[first], order[second] = order[second], order[first]
        return tuple(order)
