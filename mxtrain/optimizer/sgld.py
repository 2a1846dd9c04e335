"""SGLD: stochastic gradient Langevin dynamics."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Any, ClassVar

from mxtrain.optimizer.base import Optimizer, register


@register()
class SGLD(Optimizer):
    r"""Stochastic gradient Langevin dynamics (Welling & Teh, ICML 2011): samples, not minima.

    .. math::
        G = clip(\rho g) \qquad
        w \leftarrow w - \eta / 2 \cdot (G + \lambda w) + N

    `N` is normal noise with standard deviation :math:`\sqrt{\eta}`, drawn anew in each update: a
    function of the seed, the parameter and its count. A `clip_gradient` of 0 clips to zero. A
    negative rate is a ValueError.

    Source: MXNet 1.9.1, optimizer `sgld`.
    """

    _positional: ClassVar[tuple[str, ...]] = ()  # it has no settings of its own
    zero_clip_is_off: ClassVar[bool] = False
    extra_scalars: ClassVar[tuple[str, ...]] = ("deviation",)

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return the standard deviation of the noise."""
        if lr < 0:
            raise ValueError(f"SGLD needs a rate of at least 0, the rate is {lr}")
        return {"deviation": sqrt(lr)}

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(weight: Any, grad: Any, noise: Any, lr: Any, wd: Any, deviation: Any) -> Any:
            return weight - 0.5 * lr * (grad + wd * weight) + deviation * noise

        return step
