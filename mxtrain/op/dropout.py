"""Dropout: set elements to zero at random."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from annotated_types import Ge, Le

from mxtrain.backend.uniform import fill_uniform
from mxtrain.op.base import Operator, register
from mxtrain.op.shape import Shapes, axis_of

if TYPE_CHECKING:
    from mxtrain.op.call import Array, Call


@register()
class Dropout(Operator):
    r"""Keep every element with probability `1 - p`, divided by that; set the others to zero.

    .. math:: y = m x \qquad dx = m g \qquad m = keep / (1 - p)

    Active in training, or always with mode `always`; otherwise the identity both ways. The mask
    has size 1 along `axes`, so that elements along them are kept or dropped together. `p = 1` gives
    NaN, as 0/0 does.

    Source: MXNet operator `Dropout`; Srivastava and others 2014. The random numbers are mxtrain's
    own: a function of the run's seed, the node's name and the step.
    """

    p: Annotated[float, Ge(0), Le(1), "probability of setting an element to zero"] = 0.5
    mode: Annotated[Literal["training", "always"], "when elements are dropped"] = "training"
    axes: Annotated[tuple[int, ...], "axes along which the mask is shared"] = ()
    cudnn_off: Annotated[bool | None, "accepted for MXNet's files; there is no cuDNN here"] = False

    def hidden_outputs(self) -> int:
        """MXNet's files count the mask."""
        return 1

    def infer_shape(self, inputs: Shapes, outputs: Shapes) -> tuple[Shapes, Shapes]:
        """One shape for both; the shared axes must exist."""
        shapes = super().infer_shape(inputs, outputs)
        data = shapes[0][0]
        if data is not None:
            for axis in self.axes:
                axis_of(axis, len(data))
        return shapes

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Nothing is ever dropped with p = 0."""
        return [inputs[0]] if self.p == 0 else None

    def _is_active(self, call: Call) -> bool:
        return self.p > 0 and (call.is_train or self.mode == "always")

    def _mask(self, call: Call) -> Array:
        shape = call.inputs[0].shape
        shared = {axis % len(shape) for axis in self.axes}
        return call.scratch("mask", [1 if i in shared else n for i, n in enumerate(shape)])

    def forward(self, call: Call) -> None:
        """Y = mask X with a newly drawn mask."""
        data, out = call.inputs[0], call.outputs[0]
        if not self._is_active(call):
            call.copy(data, out)
            return
        mask = self._mask(call)
        if self.p == 1:
            call.fill(mask, float("nan"))
        else:
            self._draw(call, mask)
        call.emit(call.xp.multiply, data, mask, out)

    def _draw(self, call: Call, mask: Array) -> None:
        uniform = call.temp(mask.shape, "float32")
        keep = call.temp(mask.shape, bool)
        call.emit(fill_uniform, call.random("mask"), uniform)
        call.emit(call.xp.less, uniform, call.constant(1 - self.p, "float32"), keep)
        call.emit(call.xp.multiply, keep, call.constant(1 / (1 - self.p), mask.dtype), mask)

    def backward(self, call: Call) -> None:
        """DX = mask G."""
        grad = call.grads[0]
        if grad is None:
            return
        if self._is_active(call):
            call.emit(call.xp.multiply, call.heads[0], self._mask(call), grad)
        else:
            call.copy(call.heads[0], grad)
