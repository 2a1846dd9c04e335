"""AdaGrad: rates that shrink with the squares of past gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Gt

from mxtrain.optimizer.base import Optimizer, register


@register()
class AdaGrad(Optimizer):
    r"""AdaGrad (Duchi, Hazan & Singer, JMLR 12, 2011).

    .. math::
        G = clip(\rho g) \qquad
        h \leftarrow h + G^2 \qquad
        w \leftarrow w - \eta (G / \sqrt{h + \epsilon} + \lambda w)

    The decay is neither divided by the root nor part of the history, which begins at zero.
    A `clip_gradient` of 0 clips to zero.

    Source: MXNet 1.9.1, optimizer `adagrad`.
    """

    eps: Annotated[float, Gt(0), "added to the history inside the root"] = 1e-7

    zero_clip_is_off: ClassVar[bool] = False

    @property
    def float_stable_eps(self) -> float:
        """MXNet's name for `eps`."""
        return self.eps

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(weight: Any, grad: Any, history: Any, lr: Any, wd: Any, eps: Any) -> Any:
            history = history + grad * grad
            return weight - lr * (grad / xp.sqrt(history + eps) + wd * weight), history

        return step
