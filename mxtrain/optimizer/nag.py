"""NAG: Nesterov's accelerated gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt

from mxtrain.optimizer.base import Optimizer, register


@register()
class NAG(Optimizer):
    r"""Nesterov's accelerated gradient (Nesterov 1983; Sutskever et al., ICML 2013).

    .. math::
        G = clip(\rho g) \qquad v \leftarrow \mu v \qquad
        w' = w - v + (\mu + 1) (v - \eta (G + \lambda w)) \qquad
        v \leftarrow v - \eta (G + \lambda w') \qquad
        w \leftarrow w'

    The decay in the momentum uses the new weight, as MXNet's does. Without momentum this is SGD.

    Source: MXNet 1.9.1, optimizer `nag`.
    """

    momentum: Annotated[float, Ge(0), Lt(1), "share of the last step that is kept"] = 0.0

    master_last: ClassVar[bool] = True

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula with or without momentum."""

        def plain(weight: Any, grad: Any, lr: Any, wd: Any) -> Any:
            return (1 - lr * wd) * weight - lr * grad

        def nesterov(weight: Any, grad: Any, mom: Any, lr: Any, wd: Any, momentum: Any) -> Any:
            mom = momentum * mom
            new = weight - mom + (momentum + 1) * (mom - lr * (grad + wd * weight))
            return new, mom - lr * (grad + wd * new)

        return nesterov if self.momentum != 0 else plain
