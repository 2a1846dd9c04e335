"""TruncatedNormal: normal weights without the far ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from annotated_types import Ge

from mxtrain.initializer.base import register
from mxtrain.initializer.draw import Draw, NormalDraw, RandomInitializer

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["TruncatedNormal"]


@dataclass(frozen=True)
class TruncatedNormalDraw:
    """The normal distribution within `limit` standard deviations `sigma` of 0."""

    sigma: float
    limit: float

    def draw(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return new numbers of an element type that `drawn_dtype` gives."""
        import numpy as np

        normal = NormalDraw(1.0)
        values = normal.draw(shape, dtype).reshape(-1)
        outside = np.flatnonzero(np.abs(values) > self.limit)
        while outside.size:
            values[outside] = normal.draw((outside.size,), dtype)
            outside = outside[np.abs(values[outside]) > self.limit]
        values *= self.sigma
        return values.reshape(shape)

    def __str__(self) -> str:
        return f"normal, sigma {self.sigma:.4g}, within ±{self.limit * self.sigma:.4g}"


@register
class TruncatedNormal(RandomInitializer):
    r"""Weights normal with mean 0 and deviation `sigma`, drawn anew if too far from 0.

    .. math::
        w \sim N(0, \sigma) \quad given \; |w| \le l \, \sigma

    with :math:`l` = `limit`. `sigma` is the deviation before the far values are left out; for a
    limit of 2 that of the weights is 0.88 times as large.

    Source: ``tf.initializers.TruncatedNormal``, whose limit is 2. Not in MXNet 1.9.1.

    >>> import numpy as np
    >>> from mxtrain.initializer import InitDesc
    >>> weight = np.empty(1000)
    >>> TruncatedNormal(sigma=0.5)(InitDesc("fc_weight"), weight)
    >>> bool(0.9 < np.abs(weight).max() <= 1.0)
    True
    """

    sigma: Annotated[float, Ge(0), "standard deviation before truncation"] = 0.01
    limit: Annotated[float, Ge(1), "largest distance from 0, in standard deviations"] = 2.0

    def distribution(self, shape: tuple[int, ...]) -> Draw:
        """Return the same for every shape."""
        return TruncatedNormalDraw(self.sigma, self.limit)
