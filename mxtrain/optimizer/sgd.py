"""SGD: stochastic gradient descent with momentum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Lt

from mxtrain.optimizer.base import Optimizer, register


@register(aliases=("ccsgd",))
class SGD(Optimizer):
    r"""Stochastic gradient descent (Robbins & Monro 1951), with momentum (Polyak 1964).

    .. math::
        G = clip(\rho g) \qquad
        w \leftarrow (1 - \eta \lambda) w - \eta G

    and with momentum :math:`\mu`

    .. math::
        m \leftarrow \mu m - \eta \lambda w - \eta G \qquad
        w \leftarrow w + m

    The state `m` carries the rate inside: a change of rate does not rescale old momentum. A
    negative momentum acts as none.

    Source: MXNet 1.9.1, optimizer `sgd`.
    """

    momentum: Annotated[float, Ge(0), Lt(1), "share of the last step that is kept"] = 0.0
    lazy_update: Annotated[bool, "with row-sparse gradients, update only the rows listed"] = True

    aggregate_num: ClassVar[int] = 4
    counts_together: ClassVar[bool] = True
    master_last: ClassVar[bool] = True

    def updates_listed_rows(self, weight_is_row_sparse: bool) -> bool:
        """Follow `lazy_update`."""
        return self.lazy_update

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula with or without momentum."""

        def plain(weight: Any, grad: Any, lr: Any, wd: Any) -> Any:
            return (1 - lr * wd) * weight - lr * grad

        def heavy_ball(weight: Any, grad: Any, mom: Any, lr: Any, wd: Any, momentum: Any) -> Any:
            mom = momentum * mom - lr * wd * weight - lr * grad
            return weight + mom, mom

        return heavy_ball if self.momentum > 0 else plain
