"""LAMB: Adam's step, scaled per layer to the size of the weight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register
from mxtrain.optimizer.rates import single


@register()
class LAMB(Optimizer):
    r"""Layer-wise adaptive moments (You and others 2019, arXiv:1904.00962).

    .. math::
        G = clip(\rho g) \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) G \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) G^2

    .. math::
        u = \frac{m / (1 - \beta_1^t)}{\sqrt{v / (1 - \beta_2^t)} + \epsilon} + \lambda w \qquad
        w \leftarrow w - \eta r u \qquad r = \|w\| / \|u\|

    with :math:`r = 1` where either norm is 0. `lower_bound` and `upper_bound` limit the norm of
    the weight, not the ratio; 0 means none. Without `bias_correction` both corrections are 1.
    Under mixed precision the norms are those of the float32 master.

    Source: MXNet 1.9.1, optimizer `lamb`.
    """

    learning_rate: Annotated[float, Ge(0), "step size"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the first moment"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the second moment"] = 0.999
    epsilon: Annotated[float, Gt(0), "added to the root of the second moment"] = 1e-6
    lower_bound: Annotated[float | None, "smallest weight norm that counts"] = None
    upper_bound: Annotated[float | None, "largest weight norm that counts"] = None
    bias_correction: Annotated[bool, "correct both moments for their start at zero"] = True

    aggregate_num: ClassVar[int] = 45
    extra_scalars: ClassVar[tuple[str, ...]] = ("correction1", "correction2")

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return the betas as the moments see them, and the corrections for these."""
        beta1, beta2 = single(self.beta1), single(self.beta2)
        corrections = {"correction1": 1 - beta1**t, "correction2": 1 - beta2**t}
        if not self.bias_correction:
            corrections = dict.fromkeys(corrections, 1.0)
        return {"beta1": beta1, "beta2": beta2, **corrections}

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula of the step."""

        def step(
            weight: Any,
            grad: Any,
            mean: Any,
            var: Any,
            wd: Any,
            beta1: Any,
            beta2: Any,
            epsilon: Any,
            correction1: Any,
            correction2: Any,
        ) -> Any:
            mean = beta1 * mean + (1 - beta1) * grad
            var = beta2 * var + (1 - beta2) * grad * grad
            adam = mean / correction1 / (xp.sqrt(var / correction2) + epsilon)
            return adam + wd * weight, mean, var

        return step

    def trust_ratio(self, weight_norm: float, step_norm: float) -> float:
        """Return the bounded norm of the weight over that of the step."""
        if self.lower_bound is not None and self.lower_bound > 0:
            weight_norm = max(weight_norm, self.lower_bound)
        if self.upper_bound is not None and self.upper_bound > 0:
            weight_norm = min(weight_norm, self.upper_bound)
        return weight_norm / step_norm if weight_norm > 0 and step_norm > 0 else 1.0
