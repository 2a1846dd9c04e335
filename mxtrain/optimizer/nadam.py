"""Nadam: Adam with Nesterov's momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register

if TYPE_CHECKING:
    from mxtrain.optimizer.tracing import Layer


@register()
class Nadam(Optimizer):
    r"""Nadam (Dozat, ICLR workshop 2016).

    .. math::
        \mu = \beta_1 (1 - 0.5 \cdot 0.96^{t s}) \qquad
        \mu_+ = \beta_1 (1 - 0.5 \cdot 0.96^{(t+1) s}) \qquad
        M \leftarrow M \mu \qquad M_+ = M \mu_+

    .. math::
        G = clip(\rho g + \lambda w) \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) G \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) G^2

    .. math::
        w \leftarrow w - \eta [ (1 - \mu) G / (1 - M) + \mu_+ m / (1 - M_+) ]
        / (\sqrt{v / (1 - \beta_2^t)} + \epsilon)

    `M` (`m_schedule`) is one number of the optimizer, multiplied in every update of every
    parameter, as in MXNet; the paper has one per parameter. A `clip_gradient` of 0 clips to zero.

    Source: MXNet 1.9.1, optimizer `nadam`.
    """

    learning_rate: Annotated[float, Ge(0), "step size"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the first moment"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the second moment"] = 0.999
    epsilon: Annotated[float, Gt(0), "added to the root of the second moment"] = 1e-8
    schedule_decay: Annotated[float, Ge(0), "how fast the momentum reaches beta1"] = 0.004

    decay_before_clip: ClassVar[bool] = True
    zero_clip_is_off: ClassVar[bool] = False
    extra_scalars: ClassVar[tuple[str, ...]] = ("of_grad", "of_mean", "fresh", "correction")
    remembers: ClassVar[tuple[str, ...]] = ("m_schedule",)

    def configure(self, values: dict[str, Any]) -> None:
        """Begin the product of the momenta at 1."""
        super().configure(values)
        self.m_schedule = 1.0

    def layer_scalars(self, layer: Layer) -> dict[str, float]:
        """Move the shared product on and return the weights of gradient and mean."""
        t = layer.t
        momentum = self.beta1 * (1 - 0.5 * 0.96 ** (t * self.schedule_decay))
        following = self.beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * self.schedule_decay))
        self.m_schedule *= momentum
        return {
            "of_grad": (1 - momentum) / (1 - self.m_schedule),
            "of_mean": following / (1 - self.m_schedule * following),
            "fresh": 1 - self.beta2,
            "correction": 1 - self.beta2**t,
        }

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
            of_grad: Any,
            of_mean: Any,
            fresh: Any,
            correction: Any,
        ) -> Any:
            mean = beta1 * mean + (1 - beta1) * grad
            var = beta2 * var + fresh * grad * grad
            ahead = of_grad * grad + of_mean * mean
            return weight - lr * ahead / (xp.sqrt(var / correction) + epsilon), mean, var

        return step
