"""FTML: follow the moving leader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register
from mxtrain.optimizer.rates import single


@register()
class FTML(Optimizer):
    r"""Follow the moving leader (Zheng & Kwok, ICML 2017).

    .. math::
        G = clip(\rho g + \lambda w) \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) G^2 \qquad
        d' = (1 - \beta_1^t) / \eta \cdot (\sqrt{v / (1 - \beta_2^t)} + \epsilon)

    .. math::
        z \leftarrow \beta_1 z + (1 - \beta_1) G - (d' - \beta_1 d) w \qquad
        d \leftarrow d' \qquad
        w \leftarrow -z / d

    An update at rate 0 leaves weight and states as they are.

    Source: MXNet 1.9.1, optimizer `ftml`, which gives NaN at rate 0.
    """

    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the leader"] = 0.6
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the second moment"] = 0.999
    epsilon: Annotated[float, Gt(0), "added to the root of the second moment"] = 1e-8

    decay_before_clip: ClassVar[bool] = True
    extra_scalars: ClassVar[tuple[str, ...]] = ("correction1", "correction2")

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return the betas as the averages see them, and the corrections for these."""
        beta1, beta2 = single(self.beta1), single(self.beta2)
        corrections = {"correction1": 1 - beta1**t, "correction2": 1 - beta2**t}
        return {"beta1": beta1, "beta2": beta2, **corrections}

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(
            weight: Any,
            grad: Any,
            d: Any,
            v: Any,
            z: Any,
            lr: Any,
            beta1: Any,
            beta2: Any,
            epsilon: Any,
            correction1: Any,
            correction2: Any,
        ) -> Any:
            moves = lr * lr > 0
            rate = xp.where(moves, lr, 1)
            new_v = beta2 * v + (1 - beta2) * grad * grad
            new_d = correction1 / rate * (xp.sqrt(new_v / correction2) + epsilon)
            new_z = beta1 * z + (1 - beta1) * grad - (new_d - beta1 * d) * weight
            return (
                xp.where(moves, -new_z / new_d, weight),
                xp.where(moves, new_d, d),
                xp.where(moves, new_v, v),
                xp.where(moves, new_z, z),
            )

        return step
