"""RAdam: Adam that waits for its variance to be known."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class RAdam(Optimizer):
    r"""Rectified Adam (Liu and others 2019, arXiv:1908.03265), with decoupled weight decay.

    .. math::
        \rho_\infty = 2 / (1 - \beta_2) - 1 \qquad
        \rho_t = \rho_\infty - 2 t \beta_2^t / (1 - \beta_2^t)

    .. math::
        w \leftarrow w - \eta \left( r_t \frac{m / (1 - \beta_1^t)}
        {\sqrt{v / (1 - \beta_2^t)} + \epsilon} + \lambda w \right) \qquad
        r_t = \sqrt{\frac{(\rho_t - 4) (\rho_t - 2) \rho_\infty}
        {(\rho_\infty - 4) (\rho_\infty - 2) \rho_t}}

    while :math:`\rho_t > 4`; before that, in the first updates, the step is
    :math:`\eta m / (1 - \beta_1^t)`. The moments `m` and `v` are Adam's. Not in MXNet.
    """

    learning_rate: Annotated[float, Ge(0), "step size, also of the decay"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the first moment"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the second moment"] = 0.999
    epsilon: Annotated[float, Gt(0), "added to the root of the second moment"] = 1e-8

    extra_scalars: ClassVar[tuple[str, ...]] = ("correction1", "correction2", "rectifier", "known")

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return corrections, rectifier, and whether the variance is known yet."""
        power = self.beta2**t
        limit = 2 / (1 - self.beta2) - 1
        length = limit - 2 * t * power / (1 - power) if power < 1 else 0.0
        known = length > 4 and limit > 4
        rectifier = (
            sqrt((length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
            if known
            else 1.0
        )
        return {
            "correction1": 1 - self.beta1**t,
            "correction2": 1 - power,
            "rectifier": rectifier,
            "known": float(known),
        }

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(
            weight: Any,
            grad: Any,
            mean: Any,
            var: Any,
            lr: Any,
            wd: Any,
            beta1: Any,
            beta2: Any,
            epsilon: Any,
            correction1: Any,
            correction2: Any,
            rectifier: Any,
            known: Any,
        ) -> Any:
            mean = beta1 * mean + (1 - beta1) * grad
            var = beta2 * var + (1 - beta2) * grad * grad
            corrected = mean / correction1
            root = xp.sqrt(var / correction2) + epsilon
            # Without a known variance the root counts as 1.
            adapted = rectifier * corrected / (known * root + (1 - known))
            return weight - lr * (adapted + wd * weight), mean, var

        return step
