"""AdaDelta: steps in the units of the weights, without a learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class AdaDelta(Optimizer):
    r"""AdaDelta (Zeiler 2012, arXiv:1212.5701).

    .. math::
        G = clip(\rho g) \qquad
        a \leftarrow r a + (1 - r) G^2 \qquad
        \Delta = \sqrt{b + \epsilon} / \sqrt{a + \epsilon} \cdot G \qquad
        b \leftarrow r b + (1 - r) \Delta^2 \qquad
        w \leftarrow w - (\Delta + \lambda w)

    There is no learning rate: rates, multipliers and schedules have no influence, and the decay is
    :math:`\lambda` per update. A `clip_gradient` of 0 clips to zero.

    Source: MXNet 1.9.1, optimizer `adadelta`.
    """

    rho: Annotated[float, Ge(0), Lt(1), "decay rate of both averages"] = 0.9
    epsilon: Annotated[float, Gt(0), "added inside both roots"] = 1e-5

    zero_clip_is_off: ClassVar[bool] = False
    uses_rate: ClassVar[bool] = False

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(
            weight: Any, grad: Any, acc_g: Any, acc_delta: Any, wd: Any, rho: Any, epsilon: Any
        ) -> Any:
            acc_g = rho * acc_g + (1 - rho) * grad * grad
            delta = xp.sqrt(acc_delta + epsilon) / xp.sqrt(acc_g + epsilon) * grad
            acc_delta = rho * acc_delta + (1 - rho) * delta * delta
            return weight - (delta + wd * weight), acc_g, acc_delta

        return step
