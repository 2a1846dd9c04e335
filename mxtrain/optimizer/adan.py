"""Adan: adaptive Nesterov momentum."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class Adan(Optimizer):
    r"""Adaptive Nesterov momentum (Xie and others 2022, arXiv:2208.06677).

    .. math::
        G = clip(\rho g) \qquad
        D = G - G_{previous} \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) G \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) D

    .. math::
        n \leftarrow \beta_3 n + (1 - \beta_3) (G + \beta_2 D)^2 \qquad
        w \leftarrow \frac{1}{1 + \eta \lambda} \left( w - \eta
        \frac{\hat m + \beta_2 \hat v}{\sqrt{\hat n} + \epsilon} \right)

    with each average corrected for its start at zero, as the authors' code does; `D` is 0 in the
    first update. The betas are decay rates (1 minus those of the paper). Not in MXNet.
    """

    learning_rate: Annotated[float, Ge(0), "step size"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the gradient"] = 0.98
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of its difference"] = 0.92
    beta3: Annotated[float, Ge(0), Lt(1), "decay rate of the squares"] = 0.99
    epsilon: Annotated[float, Gt(0), "added to the root of the squares"] = 1e-8

    extra_scalars: ClassVar[tuple[str, ...]] = ("of_mean", "of_diff", "root", "later")

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return the corrections, and whether there is a previous gradient."""
        return {
            "of_mean": 1 / (1 - self.beta1**t),
            "of_diff": self.beta2 / (1 - self.beta2**t),
            "root": sqrt(1 - self.beta3**t),
            "later": float(t > self.begin_num_update + 1),
        }

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(
            weight: Any,
            grad: Any,
            mean: Any,
            diff: Any,
            square: Any,
            previous: Any,
            lr: Any,
            wd: Any,
            beta1: Any,
            beta2: Any,
            beta3: Any,
            epsilon: Any,
            of_mean: Any,
            of_diff: Any,
            root: Any,
            later: Any,
        ) -> Any:
            change = later * (grad - previous)
            ahead = grad + beta2 * change
            mean = beta1 * mean + (1 - beta1) * grad
            diff = beta2 * diff + (1 - beta2) * change
            square = beta3 * square + (1 - beta3) * ahead * ahead
            direction = (of_mean * mean + of_diff * diff) / (xp.sqrt(square) / root + epsilon)
            return (weight - lr * direction) / (1 + lr * wd), mean, diff, square, grad

        return step
