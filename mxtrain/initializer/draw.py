"""Random rules: what is drawn, and how.

Numbers are drawn in the array's own type when that is float64, and as float32 for every other
type (float16 and integers are rounded from float32). The generator's stream is therefore the same
for float16 and float32 weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from mxtrain.initializer.base import Initializer
from mxtrain.random import generator

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class UniformDraw:
    """The uniform distribution on [-`limit`, `limit`)."""

    limit: float

    def draw(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return new numbers of an element type that `drawn_dtype` gives."""
        values: Array = generator().random(shape, dtype)
        values *= 2 * self.limit
        values -= self.limit
        return values

    def __str__(self) -> str:
        return f"uniform ±{self.limit:.4g}"


@dataclass(frozen=True)
class NormalDraw:
    """The normal distribution of mean 0 and standard deviation `sigma`."""

    sigma: float

    def draw(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return new numbers of an element type that `drawn_dtype` gives."""
        values: Array = generator().standard_normal(shape, dtype)
        values *= self.sigma
        return values

    def __str__(self) -> str:
        return f"normal, sigma {self.sigma:.4g}"


class Draw(Protocol):
    """A distribution; its text is how `Initializer.describe` names it."""

    def draw(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return new numbers of an element type that `drawn_dtype` gives."""


def drawn_dtype(dtype: Any) -> Any:
    """Return the type in which numbers for arrays of `dtype` are drawn: float64 or float32."""
    import numpy as np

    return np.float64 if dtype == np.float64 else np.float32


class RandomInitializer(Initializer):
    """Base of the initializers that draw every weight independently from one distribution."""

    def distribution(self, shape: tuple[int, ...]) -> Draw:
        """Return what the weights of an array of `shape` are drawn from."""
        raise NotImplementedError(
            f"{type(self).__name__} draws from nothing: define distribution(self, shape)"
        )

    def describe(self, shape: tuple[int, ...] | None) -> str:
        """Name the distribution, for a known shape."""
        return super().describe(None) if shape is None else str(self.distribution(shape))

    def _init_weight(self, name: str, array: Array) -> None:
        drawn = self.distribution(array.shape).draw(array.shape, drawn_dtype(array.dtype))
        array[...] = drawn
