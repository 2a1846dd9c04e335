"""Operators that put arrays together: Concat, stack, add_n, tile, repeat."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge

from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Shape, Shapes, axis_of, merge, size

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


class Variadic(Operator):
    """Base of the operators of any number of arrays."""

    num_args: Annotated[int, Ge(1), "number of inputs"]

    variadic: ClassVar[bool] = True

    def arguments(self) -> tuple[str, ...]:
        """Return `arg0`, `arg1`, ..."""
        return tuple(f"arg{number}" for number in range(self.num_args))


@register(aliases=("concat",))
class Concat(Variadic):
    """Join arrays along axis `dim`; their other axes agree.

    Source: MXNet operator `Concat`.
    """

    dim: Annotated[int, "axis to join along"] = 1
    num_args: Annotated[int, Ge(1), "number of inputs"]

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Share the other axes; the joined one is the sum, and one unknown part the rest."""
        known = next((shape for shape in (*inputs, *outputs) if shape is not None), None)
        if known is None:
            return inputs, outputs
        axis = axis_of(self.dim, len(known))
        others: Shape = None
        for shape in (*inputs, *outputs):
            if shape is not None:
                others = merge(others, (*shape[:axis], 0, *shape[axis + 1 :]))
        lengths = [0 if shape is None else shape[axis] for shape in inputs]
        total = 0 if outputs[0] is None else outputs[0][axis]
        if total and lengths.count(0) == 1:
            lengths[lengths.index(0)] = total - sum(lengths)
        if all(lengths):
            total = sum(lengths)
        return [_with_axis(others, axis, n) for n in lengths], [_with_axis(others, axis, total)]

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return the input itself where there is only one."""
        return inputs if len(inputs) == 1 else None

    def _parts(self, whole: Array, parts: list[Any]) -> list[Array]:
        axis = axis_of(self.dim, whole.ndim)
        ends = [sum(n.shape[axis] for n in parts[: i + 1]) for i in range(len(parts))]
        front = (slice(None),) * axis
        return [
            whole[(*front, slice(end - part.shape[axis], end))]
            for part, end in zip(parts, ends, strict=True)
        ]

    def forward(self, call: Call) -> None:
        """Copy each input into its part."""
        parts = self._parts(call.outputs[0], call.inputs)
        for data, part in zip(call.inputs, parts, strict=True):
            call.copy(data, part)

    def backward(self, call: Call) -> None:
        """Copy each part of G."""
        parts = self._parts(call.heads[0], call.inputs)
        for grad, part in zip(call.grads, parts, strict=True):
            if grad is not None:
                call.copy(part, grad)


def _with_axis(shape: Shape, axis: int, length: int) -> Shape:
    return None if shape is None else (*shape[:axis], length, *shape[axis + 1 :])


@register("stack")
class Stack(Variadic):
    """Join arrays of one shape along a new axis.

    Source: MXNet operator `stack`.
    """

    axis: Annotated[int, "position of the new axis"] = 0
    num_args: Annotated[int, Ge(1), "number of inputs"]

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer both ways."""
        common: Shape = None
        for shape in inputs:
            common = merge(common, shape)
        out = outputs[0]
        if out is not None:
            axis = axis_of(self.axis, len(out))
            common = merge(common, (*out[:axis], *out[axis + 1 :]))
        if common is None:
            return inputs, outputs
        axis = axis_of(self.axis, len(common), allow_end=True)
        return [common] * self.num_args, [(*common[:axis], self.num_args, *common[axis:])]

    def _parts(self, whole: Array) -> list[Array]:
        axis = axis_of(self.axis, whole.ndim)
        return [whole[(slice(None),) * axis + (i,)] for i in range(self.num_args)]

    def forward(self, call: Call) -> None:
        """Copy each input into its place."""
        for data, part in zip(call.inputs, self._parts(call.outputs[0]), strict=True):
            call.copy(data, part)

    def backward(self, call: Call) -> None:
        """Copy each place of G."""
        for grad, part in zip(call.grads, self._parts(call.heads[0]), strict=True):
            if grad is not None:
                call.copy(part, grad)


@register("add_n", aliases=("ElementWiseSum",))
class AddN(Variadic):
    """Sum of any number of arrays of one shape.

    Source: MXNet operator `add_n`.
    """

    def forward(self, call: Call) -> None:
        """Out = the inputs added up from the left."""
        first, *others = call.inputs
        out = call.outputs[0]
        if not others:
            call.copy(first, out)
        for data in others:
            call.emit(call.xp.add, first, data, out)
            first = out

    def backward(self, call: Call) -> None:
        """Every gradient is G."""
        for grad in call.grads:
            if grad is not None:
                call.copy(call.heads[0], grad)


@register("tile")
class Tile(Operator):
    """Repeat the whole array `reps[i]` times along axis i, with NumPy's rule for other lengths.

    Source: MXNet operator `tile`.
    """

    reps: Annotated[tuple[int, ...], Ge(1), "repetitions per axis"]

    def _aligned(self, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        rank = max(len(shape), len(self.reps))
        reps = (1,) * (rank - len(self.reps)) + self.reps
        return reps, (1,) * (rank - len(shape)) + shape

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output from data."""
        if inputs[0] is None:
            return inputs, [None]
        reps, shape = self._aligned(inputs[0])
        return inputs, [tuple(r * n for r, n in zip(reps, shape, strict=True))]

    def _blocks(self, small: Array, big: Array) -> tuple[Array, Array]:
        """View both with an axis of repetitions before each axis."""
        reps, shape = self._aligned(small.shape)
        pairs = list(zip(reps, shape, strict=True))
        inner = tuple(n for _, length in pairs for n in (1, length))
        return small.reshape(inner), big.reshape(tuple(n for pair in pairs for n in pair))

    def forward(self, call: Call) -> None:
        """Copy X into every block."""
        source, target = self._blocks(call.inputs[0], call.outputs[0])
        call.copy(source, target)

    def backward(self, call: Call) -> None:
        """DX = sum of the blocks of G."""
        if call.grads[0] is not None:
            target, source = self._blocks(call.grads[0], call.heads[0])
            call.sum_to(source, target)


@register("repeat")
class Repeat(Operator):
    """Repeat each element along `axis`; None flattens first.

    Source: MXNet operator `repeat`.
    """

    repeats: Annotated[int, Ge(1), "how often"]
    axis: Annotated[int | None, "axis; the flattened array when None"] = None

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """Infer the output from data."""
        data = inputs[0]
        if data is None:
            return inputs, [None]
        if self.axis is None:
            return inputs, [(size(data) * self.repeats,)]
        axis = axis_of(self.axis, len(data))
        return inputs, [(*data[:axis], data[axis] * self.repeats, *data[axis + 1 :])]

    def _blocks(self, small: Array, big: Array) -> tuple[Array, Array]:
        """View both with an axis of repetitions after the repeated axis."""
        last = small.ndim - 1 if self.axis is None else axis_of(self.axis, small.ndim)
        front, back = small.shape[: last + 1], small.shape[last + 1 :]
        return small.reshape(*front, 1, *back), big.reshape(*front, self.repeats, *back)

    def forward(self, call: Call) -> None:
        """Copy each element of X."""
        source, target = self._blocks(call.inputs[0], call.outputs[0])
        call.copy(source, target)

    def backward(self, call: Call) -> None:
        """DX = sum of the repetitions of G."""
        if call.grads[0] is not None:
            target, source = self._blocks(call.grads[0], call.heads[0])
            call.sum_to(source, target)
