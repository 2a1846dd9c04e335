"""Normal: weights drawn from a normal distribution around 0."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from mxtrain.initializer.base import register
from mxtrain.initializer.draw import Draw, NormalDraw, RandomInitializer

__all__ = ["Normal"]


@register
class Normal(RandomInitializer):
    r"""Weights normal with mean 0 and standard deviation `sigma`.

    Source: MXNet 1.9.1, initializer `normal`.
    """

    sigma: Annotated[float, Ge(0), "standard deviation"] = 0.01

    def distribution(self, shape: tuple[int, ...]) -> Draw:
        """Return the same for every shape."""
        return NormalDraw(self.sigma)
