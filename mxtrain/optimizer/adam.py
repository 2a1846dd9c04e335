"""Adam: adaptive moments."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class Adam(Optimizer):
    r"""Adam (Kingma & Ba 2014, arXiv:1412.6980), computed in the order given before section 2.1.

    .. math::
        G = clip(\rho g + \lambda w) \qquad
        \alpha = \eta \sqrt{1 - \beta_2^t} / (1 - \beta_1^t) \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) G \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) G^2 \qquad
        w \leftarrow w - \alpha m / (\sqrt{v} + \epsilon)

    The bias correction is folded into the rate, so `epsilon` is not corrected ("epsilon hat" of
    the paper). Decay is of the L2 kind, added to the gradient before it is clipped.

    Source: MXNet 1.9.1, optimizer `adam`.
    """

    learning_rate: Annotated[float, Ge(0), "step size"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the first moment"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the second moment"] = 0.999
    epsilon: Annotated[float, Gt(0), "added to the root of the second moment"] = 1e-8
    lazy_update: Annotated[bool, "with row-sparse gradients, update only the rows listed"] = True

    decay_before_clip: ClassVar[bool] = True

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Fold the bias correction into the rate."""
        return {"lr": lr * (sqrt(1 - self.beta2**t) / (1 - self.beta1**t))}

    def updates_listed_rows(self, weight_is_row_sparse: bool) -> bool:
        """Follow `lazy_update`."""
        return self.lazy_update

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(
            weight: Any,
            grad: Any,
            mean: Any,
            var: Any,
            lr: Any,
            beta1: Any,
            beta2: Any,
            epsilon: Any,
        ) -> Any:
            mean = beta1 * mean + (1 - beta1) * grad
            var = beta2 * var + (1 - beta2) * grad * grad
            return weight - lr * mean / (xp.sqrt(var) + epsilon), mean, var

        return step
