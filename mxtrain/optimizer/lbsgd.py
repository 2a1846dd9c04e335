"""LBSGD: SGD for large batches, which sums gradients and warms the rate up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import sqrt
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Lt

from mxtrain.optimizer.base import Optimizer, register

if TYPE_CHECKING:
    from mxtrain.optimizer.tracing import Layer


@register()
class LBSGD(Optimizer):
    r"""Large-batch SGD: gradients of :math:`S` updates are summed and applied once.

    Every :math:`S`-th update (`batch_scale`) of a parameter applies SGD with momentum to the mean
    of the summed gradients, at the rate :math:`\eta q`:

    .. math::
        q = 1 + (S - 1) (k / n)^p \quad for \; k < n, \; else \; S

    `k` counts updates, `n` is ``warmup_epochs * updates_per_epoch`` and `p` is 1 (``linear``), 2
    (``power2``) or 1/2 (``sqrt``); any other text gives 1 until `n`. With ``lars``

    .. math::
        q = \sqrt{\|w\|^2 / (\|g\|^2 + \lambda \|w\|^2 + 10^{-18})}

    within 0.01 and 100, at all times. The rate is looked up before the count moves. The count
    begins at ``begin_epoch * updates_per_epoch``, so the first sum may hold fewer gradients.

    Source: MXNet 1.9.1, optimizer `lbsgd`; warm-up: Goyal and others 2017, arXiv:1706.02677. The
    first sum in MXNet refers to the caller's gradient; here gradients are always copied.
    """

    momentum: Annotated[float, Ge(0), Lt(1), "share of the last step that is kept"] = 0.0
    multi_precision: Annotated[bool, "float32 masters for float16 weights"] = False
    warmup_strategy: Annotated[
        Literal["linear", "power2", "sqrt", "lars"] | str, "how the rate rises to `batch_scale`"
    ] = "linear"
    warmup_epochs: Annotated[float, Ge(0), "epochs until the full rate"] = 5
    batch_scale: Annotated[int, Ge(1), "gradients summed for one step"] = 1
    updates_per_epoch: Annotated[int, Ge(1), "updates in an epoch"] = 32
    begin_epoch: Annotated[int, Ge(0), "epochs done before"] = 0
    num_epochs: Annotated[int, Ge(1), "epochs of the whole run; kept, without influence"] = 60

    looks_up_before_counting: ClassVar[bool] = True
    extra_scalars: ClassVar[tuple[str, ...]] = ("applies", "limit")
    _untracked: ClassVar[tuple[str, ...]] = (*Optimizer._untracked, "_seen_rows")

    def configure(self, values: dict[str, Any]) -> None:
        """Begin without rows of row-sparse gradients."""
        super().configure(values)
        self._seen_rows: dict[Any, Any] = {}

    def extra_state(self) -> dict[str, Any]:
        """Return the rows listed since sums were last applied."""
        seen = [[index, rows.tolist()] for index, rows in self._seen_rows.items()]
        return {**super().extra_state(), "seen_rows": seen}

    def set_extra_state(self, values: Mapping[str, Any]) -> None:
        """Take over what `extra_state` returned."""
        import numpy as np

        super().set_extra_state(values)
        seen = values.get("seen_rows", [])
        self._seen_rows = {index: np.array(rows, np.int64) for index, rows in seen}

    @property
    def prepares_gradient(self) -> bool:
        """The mean of the sum is rescaled and clipped, not each gradient."""
        return False

    def layer_scalars(self, layer: Layer) -> dict[str, float]:
        """Return whether the sum is applied now, and the rate for it."""
        k = self._count(layer.t)
        clip = self.clip_gradient
        return {
            "applies": float(k % self.batch_scale == 0),
            "lr": layer.lr * self._warm_up(k, layer),
            "limit": clip if clip is not None and clip > 0 else float("inf"),
            "momentum": max(self.momentum, 0.0),
        }

    def _count(self, t: int) -> int:
        return t - self.begin_num_update + self.begin_epoch * self.updates_per_epoch

    def _warm_up(self, k: int, layer: Layer) -> float:
        scale, end = self.batch_scale, self.warmup_epochs * self.updates_per_epoch
        if self.warmup_strategy == "lars":
            return self._trust(layer)
        if k >= end:
            return scale
        powers = {"linear": 1.0, "power2": 2.0, "sqrt": 0.5}
        if end <= 1 or self.warmup_strategy not in powers:
            return 1.0
        return float(1 + (scale - 1) * (k / end) ** powers[self.warmup_strategy])

    def _trust(self, layer: Layer) -> float:
        from mxtrain.optimizer.tracing import norm

        mean = (layer.states["cum_grad"] + layer.grad) / self.batch_scale
        weight, grad = norm(layer.weight), norm(mean)
        ratio = sqrt(weight * weight / (grad * grad + layer.wd * weight * weight + 1e-18))
        return min(max(ratio, 0.01), 100.0)

    def updates_listed_rows(self, weight_is_row_sparse: bool) -> bool:
        """Always."""
        return True

    def rows_to_update(self, index: Any, rows: Any, t: int, wd: float) -> Any:
        """Return the rows listed; when the sum is applied, all listed since the last time."""
        import numpy as np

        seen = np.union1d(self._seen_rows.get(index, rows[:0]), rows)
        applies = self._count(t) % self.batch_scale == 0
        self._seen_rows[index] = rows[:0] if applies else seen
        return seen if applies else rows

    def rule(self, xp: Any) -> Callable[..., Any]:
        """Return the formula with or without momentum."""

        def mean_of(total: Any, batch_scale: Any, rescale_grad: Any, limit: Any) -> Any:
            grad = rescale_grad * (total / batch_scale)
            return xp.maximum(xp.minimum(grad, limit), -limit)

        def plain(
            weight: Any,
            grad: Any,
            cum_grad: Any,
            lr: Any,
            wd: Any,
            applies: Any,
            batch_scale: Any,
            rescale_grad: Any,
            limit: Any,
        ) -> Any:
            total = cum_grad + grad
            mean = mean_of(total, batch_scale, rescale_grad, limit)
            new = (1 - lr * wd) * weight - lr * mean
            return xp.where(applies > 0, new, weight), xp.where(applies > 0, 0, total)

        def heavy_ball(
            weight: Any,
            grad: Any,
            mom: Any,
            cum_grad: Any,
            lr: Any,
            wd: Any,
            momentum: Any,
            applies: Any,
            batch_scale: Any,
            rescale_grad: Any,
            limit: Any,
        ) -> Any:
            total = cum_grad + grad
            mean = mean_of(total, batch_scale, rescale_grad, limit)
            new = momentum * mom - lr * wd * weight - lr * mean
            return (
                xp.where(applies > 0, weight + new, weight),
                xp.where(applies > 0, new, mom),
                xp.where(applies > 0, 0, total),
            )

        return heavy_ball if self.momentum != 0 else plain
