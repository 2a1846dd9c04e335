"""Operators that take a part of an array: slice, slice_axis, SliceChannel, reverse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge, Le

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shapes, axis_of, show

if TYPE_CHECKING:
    from mxtrain.op.call import Call

Index = tuple[slice, ...]


class Part(Operator):
    """Base: the output is a part of the input given by slices."""

    def index(self, shape: tuple[int, ...]) -> Index:
        """Return a slice per axis, for an input of `shape`; Mismatch where they do not fit."""
        raise NotImplementedError

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output from data; an unknown axis stays so."""
        data = inputs[0]
        if data is None:
            return inputs, [None]
        index = self.index(data)
        return inputs, [
            tuple(
                _length(part, axis, data, i)
                for i, (part, axis) in enumerate(zip(index, data, strict=True))
            )
        ]

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return a view where the part is one block of memory."""
        part = inputs[0][self.index(inputs[0].shape)]
        return [part] if part.flags.c_contiguous else None

    def forward(self, call: Call) -> None:
        """Copy the part of X."""
        data = call.inputs[0]
        call.copy(data[self.index(data.shape)], call.outputs[0])

    def backward(self, call: Call) -> None:
        """DX = G in the part, 0 elsewhere."""
        grad = call.grads[0]
        if grad is None:
            return
        part = grad[self.index(grad.shape)]
        if part.size != grad.size:
            call.fill(grad, 0)
        call.copy(call.heads[0], part)


def _length(part: slice, axis: int, data: tuple[int, ...], number: int) -> int:
    if axis == 0:
        return 0
    length = len(range(*part.indices(axis)))
    if length == 0:
        raise Mismatch(
            f"begin={part.start}, end={part.stop}, step={part.step} takes nothing of axis {number} "
            f"of {show(data)}"
        )
    return length


@register("slice_axis")
class SliceAxis(Part):
    """Elements `begin` to `end` (exclusive) of one axis; negative numbers count from the end.

    Source: MXNet operator `slice_axis`.
    """

    axis: Annotated[int, "axis to cut"]
    begin: Annotated[int, "first element"]
    end: Annotated[int | None, "one past the last element; None for the end of the axis"]

    def index(self, shape: tuple[int, ...]) -> Index:
        """Return the slice of the axis, and everything of the others."""
        axis = axis_of(self.axis, len(shape))
        n = shape[axis]
        for bound in (self.begin, self.end):
            if n and bound is not None and not -n <= bound <= n:
                raise Mismatch(f"{bound} is outside axis {axis} of {show(shape)}")
        parts = [slice(None)] * len(shape)
        parts[axis] = slice(self.begin, self.end)
        return tuple(parts)


@register("slice", aliases=("crop",))
class Slice(Part):
    """A slice of each axis from the first on, with Python's meaning; None for an open end.

    Source: MXNet operator `slice`.
    """

    begin: Annotated[tuple[int | None, ...], "first elements"]
    end: Annotated[tuple[int | None, ...], "one past the last elements"]
    step: Annotated[tuple[int | None, ...], "steps, possibly negative; empty for 1"] = ()

    def index(self, shape: tuple[int, ...]) -> Index:
        """Return the slices, and everything of the axes that are not named."""
        steps = self.step or (None,) * len(self.begin)
        if not len(self.begin) == len(self.end) == len(steps) <= len(shape):
            raise Mismatch(
                f"begin={self.begin}, end={self.end} and step={self.step} should have one length, "
                f"at most the {len(shape)} axes of {show(shape)}"
            )
        if 0 in steps:
            raise Mismatch(f"step={self.step}: a step is not 0")
        named = [slice(*part) for part in zip(self.begin, self.end, steps, strict=True)]
        return (*named, *[slice(None)] * (len(shape) - len(named)))


@register("reverse", aliases=("flip",))
class Reverse(Part):
    """Elements along the axes in the opposite order.

    Source: MXNet operator `reverse`.
    """

    axis: Annotated[tuple[int, ...], "axes to reverse"]

    def index(self, shape: tuple[int, ...]) -> Index:
        """Return a slice that runs backwards along the named axes."""
        named = {axis_of(axis, len(shape)) for axis in self.axis}
        return tuple(slice(None, None, -1 if i in named else None) for i in range(len(shape)))


# More pieces than any network has; a damaged file may ask for any number.
MOST_PIECES = 65536


@register(aliases=("split",))
class SliceChannel(Operator):
    """Cut an axis into `num_outputs` equal pieces, one output each.

    With `squeeze_axis` every piece has size 1 and loses the axis.

    Source: MXNet operator `SliceChannel`.
    """

    num_outputs: Annotated[int, Ge(1), Le(MOST_PIECES), "number of pieces"]
    axis: Annotated[int, "axis to cut"] = 1
    squeeze_axis: Annotated[bool, "remove the axis, which must have size num_outputs"] = False

    def outputs(self) -> tuple[str, ...]:
        """Return `output0`, `output1`, ..."""
        return tuple(f"output{number}" for number in range(self.num_outputs))

    def count_outputs(self) -> int:
        """Return their number without making the names: files are asked this for every input."""
        return self.num_outputs

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the pieces, all alike, or the input from any piece."""
        data = inputs[0]
        piece = next((shape for shape in outputs if shape is not None), None)
        if data is None:
            if piece is None:
                return inputs, outputs
            data = self._whole(piece)
        axis = axis_of(self.axis, len(data))
        n, rest = divmod(data[axis], self.num_outputs)
        if rest:
            raise Mismatch(
                f"axis {axis} of {show(data)} does not divide into {self.num_outputs} pieces"
            )
        if self.squeeze_axis and n > 1:
            raise Mismatch(
                f"axis {axis} of {show(data)} should be num_outputs={self.num_outputs} long to be "
                "removed by squeeze_axis"
            )
        middle = () if self.squeeze_axis else (n,)
        return [data], [(*data[:axis], *middle, *data[axis + 1 :])] * self.num_outputs

    def _whole(self, piece: tuple[int, ...]) -> tuple[int, ...]:
        if self.squeeze_axis:
            axis = axis_of(self.axis, len(piece), allow_end=True)
            return (*piece[:axis], self.num_outputs, *piece[axis:])
        axis = axis_of(self.axis, len(piece))
        return (*piece[:axis], piece[axis] * self.num_outputs, *piece[axis + 1 :])

    def _pieces(self, array: Any) -> list[Any]:
        axis = axis_of(self.axis, array.ndim)
        n = array.shape[axis] // self.num_outputs
        starts = range(0, array.shape[axis], n)
        front = (slice(None),) * axis
        if self.squeeze_axis:
            return [array[(*front, start)] for start in starts]
        return [array[(*front, slice(start, start + n))] for start in starts]

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return views where each piece is one block of memory."""
        pieces = self._pieces(inputs[0])
        return pieces if all(piece.flags.c_contiguous for piece in pieces) else None

    def forward(self, call: Call) -> None:
        """Copy each piece of X."""
        pieces = self._pieces(call.inputs[0])
        for piece, out in zip(pieces, call.outputs, strict=True):
            call.copy(piece, out)

    def backward(self, call: Call) -> None:
        """DX = the heads side by side."""
        if call.grads[0] is not None:
            pieces = self._pieces(call.grads[0])
            for head, piece in zip(call.heads, pieces, strict=True):
                call.copy(head, piece)
