"""Cast: another element type."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.op.attribute import DType
from mxtrain.op.base import DTypes, Operator, register

if TYPE_CHECKING:
    from mxtrain.op.call import Call


@register(aliases=("cast",))
class Cast(Operator):
    """Convert the element type. Fractions become integers by truncation.

    The gradient is converted back.

    Source: MXNet operator `Cast`.
    """

    dtype: Annotated[DType, "element type of the output"]

    def infer_type(self, inputs: DTypes, outputs: DTypes) -> tuple[DTypes, DTypes]:
        """The output has `dtype`; nothing is known of the input."""
        return [inputs[0]], [self.dtype]

    def view(self, inputs: list[Any], shapes: list[tuple[int, ...]]) -> list[Any] | None:
        """Return the input itself where there is nothing to convert."""
        return inputs if inputs[0].dtype.name == self.dtype else None

    def forward(self, call: Call) -> None:
        """Convert X."""
        call.copy(call.inputs[0], call.outputs[0])

    def backward(self, call: Call) -> None:
        """Convert G back."""
        if call.grads[0] is not None:
            call.copy(call.heads[0], call.grads[0])
