"""The same elements in another shape: Reshape, Flatten, expand_dims, squeeze."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Mismatch, Shape, Shapes, axis_of, is_complete, show, size

if TYPE_CHECKING:
    from mxtrain.op.call import Call


class Reshaping(Operator):
    """Base: the output is the input's buffer in another shape."""

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return the input in the output's shape."""
        return [inputs[0].reshape(shapes[0])]

    def forward(self, call: Call) -> None:
        """Copy X in the other shape."""
        call.copy(call.inputs[0].reshape(call.outputs[0].shape), call.outputs[0])

    def backward(self, call: Call) -> None:
        """DX = G in the input's shape."""
        if call.grads[0] is not None:
            call.copy(call.heads[0].reshape(call.grads[0].shape), call.grads[0])


@register(aliases=("reshape",))
class Reshape(Reshaping):
    """Give the elements another shape.

    `shape` is read from left to right along the input's axes: a positive number is a size; 0
    copies the current axis; -1 is whatever makes the sizes agree (once); -2 copies all remaining
    axes; -3 is the product of the next two axes; -4, a, b splits the current axis into a and b, one
    of which may be -1. With `reverse` it is read from right to left.

    Source: MXNet operator `Reshape`. MXNet 1.9.1 accepts a shape with another number of elements
    and misplaces a -1 that follows -4 or -2; here the first is refused and the second works.
    """

    shape: Annotated[tuple[int, ...], "wanted shape, with codes"] = ()
    reverse: Annotated[bool, "read shape from right to left"] = False
    target_shape: Annotated[tuple[int, ...], "obsolete: wanted shape, 0 for one to infer"] = ()
    keep_highest: Annotated[bool, "obsolete: target_shape keeps the first axis"] = False

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output; one unknown input axis follows from a complete output."""
        data, out = inputs[0], outputs[0]
        if not self.shape and not self.target_shape:
            raise Mismatch("Reshape needs a shape, such as shape=(0, -1)")
        if data is None:
            return inputs, outputs
        result = self._from_codes(data) if self.shape else self._from_target(data)
        if is_complete(data) and is_complete(result) and size(data) != size(result):
            raise Mismatch(
                f"{show(data)} has {size(data)} elements, the wanted {show(result)} "
                f"{size(result)}; use -1 for one axis to be worked out"
            )
        if out is not None and is_complete(out) and data.count(0) == 1:
            known = size([axis for axis in data if axis])
            if size(out) % known == 0:
                data = tuple(axis or size(out) // known for axis in data)
        return [data], [result]

    def _from_codes(self, data: tuple[int, ...]) -> tuple[int, ...]:
        steps = split_codes(self.shape)
        if self.reverse:
            return walk(data[::-1], reverse_codes(steps))[::-1]
        return walk(data, steps)

    def _from_target(self, data: tuple[int, ...]) -> tuple[int, ...]:
        wanted = list(self.target_shape)
        if self.keep_highest:
            wanted[0] = data[0]
        start = 1 if self.keep_highest else 0
        unknown = [place for place, axis in enumerate(wanted) if place >= start and axis == 0]
        if len(unknown) > 1:
            raise Mismatch(f"target_shape={self.target_shape} leaves more than one axis open")
        for place in unknown:
            wanted[place] = _missing_axis(data, [*wanted[:place], *wanted[place + 1 :]])
        return tuple(wanted)


def split_codes(shape: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the steps of a shape with codes: a split with its two factors is one step.

    >>> split_codes((0, -4, 2, -1, 5))
    [(0,), (-4, 2, -1), (5,)]
    """
    steps: list[tuple[int, ...]] = []
    place = 0
    while place < len(shape):
        length = 3 if shape[place] == -4 else 1
        step = tuple(shape[place : place + length])
        if len(step) < length:
            raise Mismatch(f"shape={tuple(shape)}: -4 needs two factors after it")
        if step[0] < -4:
            raise Mismatch(f"shape={tuple(shape)}: {step[0]} is not a code; they are -4 to 0")
        steps.append(step)
        place += length
    return steps


def reverse_codes(steps: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    """Return the steps to take on the reversed axes."""
    return [(step[0], *step[:0:-1]) for step in reversed(steps)]


def walk(data: tuple[int, ...], steps: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Apply the steps to the axes of `data` (0 for an unknown one) and return the shape.

    >>> walk((2, 3, 4), [(-3,), (-1,)])
    (6, 4)
    """
    result: list[int] = []
    inferred: int | None = None
    place = 0
    for code, *factors in steps:
        if code == -1:
            if inferred is not None:
                raise Mismatch("only one axis may be -1")
            inferred = len(result)
        result += _axes_of(code, factors, data, place)
        place += {-2: max(len(data) - place, 0), -3: 2}.get(code, 1)
    if inferred is not None:
        result[inferred] = _missing_axis(data, result[:inferred] + result[inferred + 1 :])
    return tuple(result)


def _axes_of(code: int, factors: list[int], data: tuple[int, ...], place: int) -> list[int]:
    """Return the axes one step gives, of the input axes from `place` on."""
    if code > 0 or code == -1:
        return [max(code, 0)]
    if code == -2:
        return list(data[place:])
    wanted = 2 if code == -3 else 1
    axes = list(data[place : place + wanted])
    if len(axes) < wanted:
        raise Mismatch(f"code {code} needs {wanted} more axes of {show(data)}")
    if code == -4:
        return _split(axes[0], factors)
    return [size(axes)]


def _split(axis: int, factors: list[int]) -> list[int]:
    first, second = factors
    if first == second == -1:
        raise Mismatch("only one factor of -4 may be -1")
    known = second if first == -1 else first
    if known < 1 or (-1 not in factors and second < 1):
        raise Mismatch(f"the factors of -4 are positive or -1, not {first} and {second}")
    if axis == 0:
        return [max(first, 0), max(second, 0)]
    other = axis // known
    if known * other != axis or (-1 not in factors and other != second):
        raise Mismatch(f"an axis of {axis} does not split into {first} and {second}")
    return [other, second] if first == -1 else [first, other]


def _missing_axis(data: Sequence[int], others: Sequence[int]) -> int:
    """Return the axis that makes the sizes agree; 0 while anything is unknown."""
    total, known = size(data), size(others)
    if total == 0 or known == 0:
        return 0
    if total % known:
        raise Mismatch(f"{total} elements do not divide by the {known} of the other axes")
    return total // known


@register(aliases=("flatten",))
class Flatten(Reshaping):
    """See `(N, ...)` as a matrix of N rows; a vector of n becomes `(n, 1)`.

    Source: MXNet operator `Flatten`.
    """

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output; the number of rows flows back."""
        data, out = inputs[0], outputs[0]
        if data is None:
            return inputs, [(0, 0)]
        if not data[0] and out is not None:
            data = (out[0], *data[1:])
        return [data], [(data[0], size(data[1:]))]


@register("expand_dims")
class ExpandDims(Reshaping):
    """Insert an axis of size 1 before position `axis` (negative: counted from the end).

    Source: MXNet operator `expand_dims`.
    """

    axis: Annotated[int, "position of the new axis"]

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer both ways."""
        data, out = inputs[0], outputs[0]
        if data is None:
            if out is None:
                return inputs, outputs
            axis = axis_of(self.axis, len(out))
            return [(*out[:axis], *out[axis + 1 :])], [out]
        axis = axis_of(self.axis, len(data), allow_end=True)
        return inputs, [(*data[:axis], 1, *data[axis:])]


@register("squeeze")
class Squeeze(Reshaping):
    """Remove axes of size 1: those named, or all.

    Source: MXNet operator `squeeze`.
    """

    axis: Annotated[tuple[int, ...] | None, "axes to remove; all of size 1 when None"] = None

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output; `(1,)` where every axis goes."""
        data = inputs[0]
        if data is None:
            return inputs, [None]
        result: Shape
        if self.axis is None:
            result = tuple(n for n in data if n != 1) if is_complete(data) else None
        else:
            named = [axis_of(axis, len(data)) for axis in self.axis]
            for axis in named:
                if data[axis] not in (0, 1):
                    raise Mismatch(f"axis {axis} of {show(data)} is {data[axis]}, not 1")
            result = tuple(n for i, n in enumerate(data) if i not in named)
        return inputs, [(1,) if result == () else result]
