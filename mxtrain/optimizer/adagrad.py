"""AdaGrad: rates that shrink with the squares of past gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from annotated_types import Gt

from mxtrain.errors import MXNetError
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

    def updates_listed_rows(self, weight_is_row_sparse: bool) -> bool:
        """Always: without decay the others would not change."""
        return True

    def rows_to_update(self, index: Any, rows: Any, t: int, wd: float) -> Any:
        """Return the rows listed; MXNetError with a weight decay, which would need all."""
        if wd != 0:
            raise MXNetError(
                f"AdaGrad takes no weight decay with a row-sparse gradient; it is {wd} for "
                f"parameter {index}"
            )
        return rows

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula."""

        def step(weight: Any, grad: Any, history: Any, lr: Any, wd: Any, eps: Any) -> Any:
            history = history + grad * grad
            return weight - lr * (grad / xp.sqrt(history + eps) + wd * weight), history

        return step
