"""Uniform: weights drawn uniformly from an interval around 0."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from mxtrain.initializer.base import register
from mxtrain.initializer.draw import Draw, RandomInitializer, UniformDraw

__all__ = ["Uniform"]


@register
class Uniform(RandomInitializer):
    r"""Weights uniform on :math:`[-s, s)`, with :math:`s` = `scale`.

    Source: MXNet 1.9.1, initializer `uniform`.
    """

    scale: Annotated[float, Ge(0), "largest distance from 0"] = 0.07

    def distribution(self, shape: tuple[int, ...]) -> Draw:
        """Return the same for every shape."""
        return UniformDraw(self.scale)
