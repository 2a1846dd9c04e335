"""LARS: a rate per layer, from the norms of weight and gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from annotated_types import Ge, Gt, Lt

from mxtrain.optimizer.base import Optimizer, register

if TYPE_CHECKING:
    from mxtrain.optimizer.tracing import Layer

# Names that keep the plain rate, by ending.
_UNSCALED = ("gamma", "beta", "bias")


@register()
class LARS(Optimizer):
    r"""Layer-wise adaptive rate scaling (You, Gitman & Ginsburg 2017, arXiv:1708.03888).

    SGD with momentum whose rate is, for a layer with weight norm `W > 0` and gradient norm
    :math:`\Gamma > 0`,

    .. math::
        \eta' = \eta \cdot eta W / (\rho \Gamma + \lambda W + eps)

    Parameters whose names end in gamma, beta or bias keep :math:`\eta`; only those ending in
    `_weight` decay. With `momentum_correction` the momentum is multiplied by the ratio of the
    rate to that of the previous call (Goyal and others 2017, arXiv:1706.02677). A call is a piece
    of up to four parameters, so a change of rate reaches the momentum of a step's first piece
    only; that is MXNet's behaviour.

    Under mixed precision the norms are those of the float32 master.

    Source: MXNet 1.9.1, optimizer `lars`.
    """

    momentum: Annotated[float, Ge(0), Lt(1), "share of the last step that is kept"] = 0.0
    lazy_update: Annotated[bool, "with row-sparse gradients, update only the rows listed"] = True
    eta: Annotated[float, Gt(0), "trust: the size of a step relative to the weight"] = 0.001
    eps: Annotated[float, Ge(0), "added to the denominator"] = 0
    momentum_correction: Annotated[bool, "rescale the momentum when the rate changes"] = True

    aggregate_num: ClassVar[int] = 4
    counts_together: ClassVar[bool] = True
    master_last: ClassVar[bool] = True
    decaying: ClassVar[tuple[str, ...]] = ("_weight",)
    remembers: ClassVar[tuple[str, ...]] = ("last_lr",)

    def configure(self, values: dict[str, Any]) -> None:
        """Begin without a previous rate."""
        super().configure(values)
        self.last_lr: float | None = None
        self._correction = 1.0

    def begin_piece(self) -> None:
        """Compare the rate with that of the previous call."""
        rate, last = self._global_lr(), self.last_lr
        corrects = self.momentum_correction and last is not None and last != 0
        self._correction = rate / last if corrects and last is not None else 1.0
        self.last_lr = rate

    def layer_scalars(self, layer: Layer) -> dict[str, float]:
        """Return the layer's rate and the corrected momentum."""
        return {"lr": self._layer_rate(layer), "momentum": self.momentum * self._correction}

    def _layer_rate(self, layer: Layer) -> float:
        if self.idx2name.get(layer.index, str(layer.index)).endswith(_UNSCALED):
            return layer.lr
        from mxtrain.optimizer.tracing import norm

        weight, grad = norm(layer.weight), norm(layer.grad)
        if weight == 0 or grad == 0:
            return layer.lr
        size = (self.rescale_grad or 0.0) * grad + layer.wd * weight + self.eps
        return layer.lr * self.eta * weight / size if size != 0 else layer.lr

    def updates_listed_rows(self, weight_is_row_sparse: bool) -> bool:
        """Follow `lazy_update`."""
        return self.lazy_update

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula of SGD."""

        def plain(weight: Any, grad: Any, lr: Any, wd: Any) -> Any:
            return (1 - lr * wd) * weight - lr * grad

        def heavy_ball(weight: Any, grad: Any, mom: Any, lr: Any, wd: Any, momentum: Any) -> Any:
            mom = momentum * mom - lr * wd * weight - lr * grad
            return weight + mom, mom

        return heavy_ball if self.momentum > 0 else plain
