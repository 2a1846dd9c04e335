"""RMSProp: gradients divided by a running root of their squares."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class RMSProp(Optimizer):
    r"""RMSProp, plain (Tieleman & Hinton 2012) or centered (Graves 2013, arXiv:1308.0850).

    .. math::
        G = clip(\rho g + \lambda w) \qquad
        n \leftarrow \gamma_1 n + (1 - \gamma_1) G^2 \qquad
        w \leftarrow w - \eta G / \sqrt{n + \epsilon}

    and centered, with momentum :math:`\gamma_2`

    .. math::
        a \leftarrow \gamma_1 a + (1 - \gamma_1) G \qquad
        \delta \leftarrow \gamma_2 \delta - \eta G / \sqrt{n - a^2 + \epsilon} \qquad
        w \leftarrow w + \delta

    `epsilon` stands inside the root in both forms. With `clip_weights` every weight is kept within
    that distance of 0. Plain RMSProp ignores `gamma2`.

    Source: MXNet 1.9.1, optimizer `rmsprop`, which gives NaN where rounding makes :math:`n - a^2`
    negative; here it counts as 0.
    """

    learning_rate: Annotated[float, Ge(0), "step size"] = 0.001
    gamma1: Annotated[float, Ge(0), Lt(1), "decay rate of the averages"] = 0.9
    gamma2: Annotated[float, Ge(0), Lt(1), "momentum of the centered form"] = 0.9
    epsilon: Annotated[float, Gt(0), "added inside the root"] = 1e-8
    centered: Annotated[bool, "subtract the squared mean of the gradient"] = False
    clip_weights: Annotated[float | None, "limit of each weight (None or 0: none)"] = None

    decay_before_clip: ClassVar[bool] = True

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the plain or the centered formula, with or without clipped weights."""
        clips = self.clip_weights is not None and self.clip_weights > 0

        def limited(weight: Any, limit: Any) -> Any:
            return xp.maximum(xp.minimum(weight, limit), -limit)

        def plain(weight: Any, grad: Any, n: Any, lr: Any, gamma1: Any, epsilon: Any) -> Any:
            n = gamma1 * n + (1 - gamma1) * grad * grad
            return weight - lr * grad / xp.sqrt(n + epsilon), n

        def plain_clipped(
            weight: Any,
            grad: Any,
            n: Any,
            lr: Any,
            gamma1: Any,
            epsilon: Any,
            clip_weights: Any,
        ) -> Any:
            weight, n = plain(weight, grad, n, lr, gamma1, epsilon)
            return limited(weight, clip_weights), n

        def centered(
            weight: Any,
            grad: Any,
            n: Any,
            g: Any,
            delta: Any,
            lr: Any,
            gamma1: Any,
            gamma2: Any,
            epsilon: Any,
        ) -> Any:
            n = gamma1 * n + (1 - gamma1) * grad * grad
            g = gamma1 * g + (1 - gamma1) * grad
            # Rounding may bring the variance of a steady gradient below zero.
            variance = xp.maximum(n - g * g, 0)
            delta = gamma2 * delta - lr * grad / xp.sqrt(variance + epsilon)
            return weight + delta, n, g, delta

        def centered_clipped(
            weight: Any,
            grad: Any,
            n: Any,
            g: Any,
            delta: Any,
            lr: Any,
            gamma1: Any,
            gamma2: Any,
            epsilon: Any,
            clip_weights: Any,
        ) -> Any:
            weight, *states = centered(weight, grad, n, g, delta, lr, gamma1, gamma2, epsilon)
            return limited(weight, clip_weights), *states

        if self.centered:
            return centered_clipped if clips else centered
        return plain_clipped if clips else plain

    def pack_states(self, states: dict[str, Any]) -> Any:
        """Return a tuple, also of one state."""
        return tuple(states.values())
