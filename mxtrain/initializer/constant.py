"""Zero, One and Constant: weights that start at a given value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from mxtrain.initializer.base import Initializer, alias, register

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Constant", "One", "Zero"]


@alias("zeros")
class Zero(Initializer):
    """Weights of 0.

    Source: MXNet 1.9.1, initializer `zero`.
    """

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: str, array: Array) -> None:
        array[...] = 0


@alias("ones")
class One(Initializer):
    """Weights of 1.

    Source: MXNet 1.9.1, initializer `one`.
    """

    def __init__(self) -> None:
        super().__init__()

    def _init_weight(self, name: str, array: Array) -> None:
        array[...] = 1


@register
class Constant(Initializer):
    """Weights of a given value: a number, or an array or list that broadcasts to the shape.

    Source: MXNet 1.9.1, initializer `constant`.
    """

    value: Annotated[float | list[Any], "the value: a number, or nested lists of numbers"]

    def describe(self, shape: tuple[int, ...] | None) -> str:
        """Show the number, or the shape of the array."""
        import numpy as np

        value = np.asarray(self.value)
        if value.ndim == 0:
            return f"{value.item():g}"
        return f"array of shape {value.shape}"

    def _init_weight(self, name: str, array: Array) -> None:
        array[...] = self.value
