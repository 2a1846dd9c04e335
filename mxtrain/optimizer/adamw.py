"""AdamW: Adam with decoupled weight decay."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite, sqrt
from typing import Annotated, Any

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class AdamW(Optimizer):
    r"""Adam with decoupled weight decay (Loshchilov & Hutter 2017, arXiv:1711.05101).

    .. math::
        G = clip(\rho g) \qquad
        m \leftarrow \beta_1 m + (1 - \beta_1) G \qquad
        v \leftarrow \beta_2 v + (1 - \beta_2) G^2 \qquad
        w \leftarrow w - \eta (c m / (\sqrt{v} + \epsilon) + \lambda w)

    with :math:`c = \sqrt{1 - \beta_2^t} / (1 - \beta_1^t)`, or 1 without `bias_correction`. The
    decay is scaled by the rate and not by the moments.

    Source: MXNet 1.9.1, operator `adamw_update` (there is no such class), whose numbers these are
    without `bias_correction`; see `adamw_update` here.
    """

    learning_rate: Annotated[float, Ge(0), "step size, also of the decay"] = 0.001
    beta1: Annotated[float, Ge(0), Lt(1), "decay rate of the first moment"] = 0.9
    beta2: Annotated[float, Ge(0), Lt(1), "decay rate of the second moment"] = 0.999
    epsilon: Annotated[float, Gt(0), "added to the root of the second moment"] = 1e-8
    bias_correction: Annotated[bool, "correct the moments for their start at zero"] = True

    extra_scalars = ("correction",)

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return the correction of both moments."""
        if not self.bias_correction:
            return {"correction": 1.0}
        return {"correction": sqrt(1 - self.beta2**t) / (1 - self.beta1**t)}

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
            correction: Any,
        ) -> Any:
            mean = beta1 * mean + (1 - beta1) * grad
            var = beta2 * var + (1 - beta2) * grad * grad
            adam = correction * mean / (xp.sqrt(var) + epsilon)
            return weight - lr * (adam + wd * weight), mean, var

        return step


def adamw_update(
    weight: Any,
    grad: Any,
    mean: Any,
    var: Any,
    rescale_grad: Any,
    lr: float,
    eta: float,
    beta1: float = 0.9,
    beta2: float = 0.999,
    epsilon: float = 1e-8,
    wd: float = 0.0,
    clip_gradient: float = -1.0,
    weight32: Any = None,
) -> None:
    """Apply MXNet's operator ``adamw_update`` (``mp_adamw_update`` with `weight32`) in place.

    ``w -= eta * (lr * m / (sqrt(v) + epsilon) + wd * w)``. Nothing at all happens when
    `rescale_grad` (a number or an array of one) is NaN, infinite or 0. A negative `clip_gradient`
    turns clipping off. With `weight32` the rule runs on it and `weight` gets its rounded value.
    """
    scale = float(rescale_grad if isinstance(rescale_grad, (int, float)) else rescale_grad.item())
    if not isfinite(scale) or scale == 0:
        return
    target = weight if weight32 is None else weight32
    optimizer = _OneUpdate(
        learning_rate=eta,
        beta1=beta1,
        beta2=beta2,
        epsilon=epsilon,
        wd=wd,
        rescale_grad=scale,
        clip_gradient=None if clip_gradient < 0 else clip_gradient,
    )
    optimizer.step_scale = lr
    optimizer.update(0, target, grad.astype(target.dtype), (mean, var))
    if weight32 is not None:
        weight[...] = weight32


class _OneUpdate(AdamW):
    """`AdamW` with a given factor on the step, clipping to zero at a limit of 0."""

    _refuses = False  # an operator computes with whatever it is given
    zero_clip_is_off = False
    step_scale = 1.0

    def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
        """Return the given factor in place of the correction."""
        return {"correction": self.step_scale}
