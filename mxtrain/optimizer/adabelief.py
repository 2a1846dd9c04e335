"""AdaBelief: steps as large as the gradient agrees with its own average."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class AdaBelief(Optimizer):
    r"""AdaBelief (Zhuang and others 2020, arXiv:2010.07468), with decoupled weight decay.

    .. math::
        G = clip(\rho g) \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) G \qquad
        s \leftarrow \beta_2 s + (1 - \beta_2) (G - m)^2 + \epsilon

    .. math::
        w \leftarrow w - \eta \left( \frac{m / (1 - \beta_1^t)}
        {\sqrt{s / (1 - \beta_2^t)} + \epsilon} + \lambda w \right)

    `epsilon` is added in both places, as the paper does. Not in MXNet.
    """

    learning_rate: Annotated[float, Ge(0), "step size, also of the decay"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the mean"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the variance around it"] = 0.999
    epsilon: Annotated[float, Gt(0), "added to the variance, and to its root"] = 1e-16

    extra_scalars: ClassVar[tuple[str, ...]] = ("correction1", "correction2")

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return the corrections of both averages."""
        return {"correction1": 1 - self.beta1**t, "correction2": 1 - self.beta2**t}

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
        ) -> Any:
            mean = beta1 * mean + (1 - beta1) * grad
            surprise = grad - mean
            var = beta2 * var + (1 - beta2) * surprise * surprise + epsilon
            adapted = mean / correction1 / (xp.sqrt(var / correction2) + epsilon)
            return weight - lr * (adapted + wd * weight), mean, var

        return step
