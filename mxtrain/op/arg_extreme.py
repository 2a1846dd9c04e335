"""argmax, argmin and argmax_channel: where the extreme value stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Shapes, axis_of

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


class Search(Operator):
    """Base of the searches. Results are numbers of the data's type; the first extreme wins."""

    function: ClassVar[str] = "argmax"
    no_gradient: ClassVar[tuple[str, ...]] = ("data",)

    def where(self) -> tuple[int | None, bool]:
        """Return the axis to search (None: everything) and whether it is kept with size 1."""
        return 1, False

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output from data."""
        data, (axis, keepdims) = inputs[0], self.where()
        if data is None:
            return inputs, [None]
        if axis is None:
            return inputs, [(1,) * len(data) if keepdims else (1,)]
        axis = axis_of(axis, len(data))
        kept = (1,) if keepdims else ()
        return inputs, [(*data[:axis], *kept, *data[axis + 1 :]) or (1,)]

    def forward(self, call: Call) -> None:
        """Y = the position of the extreme."""
        rows = self._rows(call, call.inputs[0])
        found = call.temp((rows.shape[0],), "int64")
        call.emit(getattr(call.xp, self.function), rows, 1, found)
        call.copy(found, call.outputs[0].reshape(-1))

    def _rows(self, call: Call, data: Array) -> Array:
        axis = self.where()[0]
        if axis is None:
            return data.reshape(1, -1)
        moved = call.xp.moveaxis(data, axis, -1)
        if not moved.flags.c_contiguous:
            # Searching along any other axis would make NumPy allocate this copy each time.
            copied = call.temp(moved.shape, data.dtype)
            call.emit(call.xp.copyto, copied, moved)
            moved = copied
        rows: Array = moved.reshape(-1, moved.shape[-1])
        return rows


class AlongAxis(Search):
    """Base of argmax and argmin."""

    axis: Annotated[int | None, "axis to search; the flattened array when None"] = None
    keepdims: Annotated[bool, "keep the axis with size 1"] = False

    def where(self) -> tuple[int | None, bool]:
        """Return the attributes."""
        return self.axis, self.keepdims


@register("argmax")
class ArgMax(AlongAxis):
    """Position of the largest value along an axis. The gradient is zero.

    Source: MXNet operator `argmax`.
    """


@register("argmin")
class ArgMin(AlongAxis):
    """Position of the smallest value along an axis. The gradient is zero.

    Source: MXNet operator `argmin`.
    """

    function: ClassVar[str] = "argmin"


@register("argmax_channel")
class ArgMaxChannel(Search):
    """Position of the largest value along axis 1. The gradient is zero.

    Source: MXNet operator `argmax_channel`.
    """
