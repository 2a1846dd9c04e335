"""Lion: the sign of an interpolated momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class Lion(Optimizer):
    r"""Evolved sign momentum (Chen and others 2023, arXiv:2302.06675).

    .. math::
        G = clip(\rho g) \qquad
        w \leftarrow w - \eta (sign(\beta_1 m + (1 - \beta_1) G) + \lambda w) \qquad
        m \leftarrow \beta_2 m + (1 - \beta_2) G

    Steps have one length, so the rate is three to ten times smaller than Adam's and the decay as
    much larger. Not in MXNet.
    """

    learning_rate: Annotated[float, Ge(0), "length of a step"] = 0.0001
    beta1: Annotated[float, Ge(0), Lt(1), "share of the momentum in the step"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the momentum"] = 0.99

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(weight: Any, grad: Any, mom: Any, lr: Any, wd: Any, beta1: Any, beta2: Any) -> Any:
            direction = xp.sign(beta1 * mom + (1 - beta1) * grad)
            return weight - lr * (direction + wd * weight), beta2 * mom + (1 - beta2) * grad

        return step
