"""Adamax: Adam with the largest gradient in place of the root of squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class Adamax(Optimizer):
    r"""Adamax (Kingma & Ba 2014, arXiv:1412.6980, section 7.1).

    .. math::
        G = clip(\rho g + \lambda w) \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) G \qquad
        u \leftarrow \max(\beta_2 u, |G|) \qquad
        w \leftarrow w - \eta / (1 - \beta_1^t) \cdot m / u

    A weight whose gradient has always been zero (:math:`u = 0`) stays as it is. A `clip_gradient`
    of 0 clips to zero.

    Source: MXNet 1.9.1, optimizer `adamax`, which gives NaN where u is 0.
    """

    learning_rate: Annotated[float, Ge(0), "step size"] = 0.002
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the first moment"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the largest gradient"] = 0.999

    decay_before_clip: ClassVar[bool] = True
    zero_clip_is_off: ClassVar[bool] = False

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Correct the bias of the first moment in the rate."""
        return {"lr": lr / (1 - self.beta1**t)}

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(weight: Any, grad: Any, mean: Any, u: Any, lr: Any, beta1: Any, beta2: Any) -> Any:
            mean = beta1 * mean + (1 - beta1) * grad
            u = xp.maximum(beta2 * u, xp.abs(grad))
            # Where u is 0 so is the mean; 1 in its place makes the step 0.
            return weight - lr * mean / (u + xp.equal(u, 0)), mean, u

        return step
