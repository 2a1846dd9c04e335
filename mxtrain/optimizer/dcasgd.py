"""DCASGD: asynchronous SGD with compensated delay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class DCASGD(Optimizer):
    r"""Delay-compensated asynchronous SGD (Zheng and others 2016, arXiv:1609.08326).

    .. math::
        G = clip(\rho g) \qquad
        D = -\eta (G + \lambda w + \Lambda G^2 (w - p)) \qquad
        m \leftarrow \mu m + D \qquad
        p \leftarrow w \qquad
        w \leftarrow w + m

    The previous weight `p` begins as a copy of the weight. Without momentum :math:`m = D`. A
    `clip_gradient` of 0 clips to zero.

    Source: MXNet 1.9.1, optimizer `dcasgd`, which fails at the first update with momentum.
    """

    momentum: Annotated[float, Ge(0), Lt(1), "share of the last step that is kept"] = 0.0
    lamda: Annotated[float, Ge(0), "strength of the compensation"] = 0.04

    zero_clip_is_off: ClassVar[bool] = False
    copies_of_weight: ClassVar[tuple[str, ...]] = ("previous_weight",)

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula with or without momentum."""

        def plain(
            weight: Any, grad: Any, previous_weight: Any, lr: Any, wd: Any, lamda: Any
        ) -> Any:
            compensated = grad + wd * weight + lamda * grad * grad * (weight - previous_weight)
            return weight - lr * compensated, weight

        def heavy_ball(
            weight: Any,
            grad: Any,
            mom: Any,
            previous_weight: Any,
            lr: Any,
            wd: Any,
            lamda: Any,
            momentum: Any,
        ) -> Any:
            compensated = grad + wd * weight + lamda * grad * grad * (weight - previous_weight)
            mom = momentum * mom - lr * compensated
            return weight + mom, mom, weight

        return heavy_ball if self.momentum != 0 else plain

    def pack_states(self, states: dict[str, Any]) -> Any:
        """Return the pair of momentum (None without one) and previous weight."""
        return states.get("mom"), states["previous_weight"]
