"""Signum and sign-SGD: steps of one length, only the sign of the gradient counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from annotated_types import Ge, Lt

from mxtrain.errors import MXNetError
from mxtrain.optimizer.base import Optimizer, register


@register()
class Signum(Optimizer):
    r"""Signum, and sign-SGD with momentum 0 (Bernstein and others 2018, arXiv:1802.04434).

    .. math::
        G = clip(\rho g) \qquad
        s \leftarrow \mu s - (1 - \mu) \lambda w - (1 - \mu) G \qquad
        w \leftarrow (1 - \eta h) w + \eta sign(s)

    and with momentum 0, where neither `rescale_grad` nor `clip_gradient` has an influence,

    .. math::
        w \leftarrow (1 - \eta \lambda) w - \eta sign(g)

    `h` is `wd_lh`, a decay outside the sign (Loshchilov & Hutter 2017, arXiv:1711.05101), which
    needs momentum. A negative momentum acts as 0 in the rule with a state.

    Source: MXNet 1.9.1, optimizer `signum`.
    """

    learning_rate: Annotated[float, Ge(0), "length of a step"] = 0.01
    momentum: Annotated[float, Ge(0), Lt(1), "decay rate of the average"] = 0.9
    wd_lh: Annotated[float, Ge(0), "weight decay outside the sign"] = 0.0

    @property
    def prepares_gradient(self) -> bool:
        """Sign-SGD takes the gradient as it arrives."""
        return self.momentum != 0

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Let a negative momentum act as 0."""
        if self.momentum == 0 and self.wd_lh != 0:
            raise MXNetError(f"wd_lh={self.wd_lh} needs a momentum; use wd, or set momentum")
        return {"momentum": max(self.momentum, 0.0)}

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula with or without momentum."""

        def sign_sgd(weight: Any, grad: Any, lr: Any, wd: Any) -> Any:
            return (1 - lr * wd) * weight - lr * xp.sign(grad)

        def averaged(
            weight: Any, grad: Any, mom: Any, lr: Any, wd: Any, momentum: Any, wd_lh: Any
        ) -> Any:
            rest = 1 - momentum
            mom = momentum * mom - rest * wd * weight - rest * grad
            return (1 - lr * wd_lh) * weight + lr * xp.sign(mom), mom

        return averaged if self.momentum != 0 else sign_sgd
