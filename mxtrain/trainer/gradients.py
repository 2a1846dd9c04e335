"""What happens to gradients between backward and update: looked at, shortened, scaled back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.trainer.loss_scale import LossScale

if TYPE_CHECKING:
    from mxtrain.config.spec import FitSpec
    from mxtrain.module import Module

Array = np.ndarray[Any, Any]

LOSS_SCALE, SKIPPED = "loss_scale", "skipped_updates"
# Columns of the metrics that are there only where losses are scaled.
COLUMNS = (LOSS_SCALE, SKIPPED)


class Gradients:
    """The gradients of a module, and the scale of its losses.

    The optimizer undoes the scale: within an update its `rescale_grad` is divided by it, so that
    all rules see the true gradient. Where that would not do (float16 weights without masters, whose
    rules cannot hold so small a number; rules that take gradients as they come) the gradients
    themselves are divided.

    Parameters
    ----------
    module : whose gradients they are.
    fit : the settings.

    Attributes
    ----------
    scale : that of the losses, None where they are not scaled.
    skipped : updates of the whole run that were left out.
    skipped_in_epoch : those of the running epoch.
    """

    def __init__(self, module: Module, fit: FitSpec) -> None:
        self.scale = None if fit.loss_scale is None else LossScale(fit.loss_scale)
        self.skipped = self.skipped_in_epoch = 0
        self._module, self._limit = module, fit.clip_global_norm
        self._divides = self.scale is not None and not _undoes_scales(module)
        self._rescale = (0.0, 1.0, 0.0)  # rescale_grad, the scale, and what is in force with it

    @property
    def factor(self) -> float:
        """The factor on the gradients that the losses start."""
        return 1.0 if self.scale is None else self.scale.value

    @property
    def may_fail(self) -> bool:
        """Whether one that is not finite would end the run, as no scale can be lowered."""
        if self.scale is None:
            return self._limit is not None
        return not self.scale.can_be_halved

    @property
    def may_run_ahead(self) -> bool:
        """Whether all there is to do with them is to look whether they are finite."""
        return self._limit is None and not self._divides

    def room(self, count: int) -> int:
        """Return how many of `count` updates have the same scale."""
        return count if self.scale is None else min(count, self.scale.room())

    def looked_at(self) -> list[Array]:
        """Return the flat arrays that must be finite for an update to be made."""
        return [] if self.scale is None else self._module.flat_gradients()

    # -- one batch ---------------------------------------------------------------------------

    def are_finite(self) -> bool:
        """Look at the gradients of a batch, and shorten them where there is a limit.

        False where one is not finite; they are as they were then.
        """
        if self.scale is None and self._limit is None:
            return True
        grads = self._module.flat_gradients()
        if self._limit is None:
            if not all(map(_is_finite, grads)):
                return False
            self._divide(grads)
            return True
        norm = _norm(grads)
        if not np.isfinite(norm):
            return False
        self._divide(grads)
        norm *= abs(self._module.optimizer.rescale_grad) / self.factor
        if norm > self._limit:
            for grad in grads:
                np.multiply(grad, self._limit / norm, grad)
        return True

    def _divide(self, grads: Sequence[Array]) -> None:
        if self._divides:
            for grad in grads:
                np.multiply(grad, 1 / self.factor, grad)

    def update(self) -> None:
        """Update the weights."""
        if self.scale is None:
            self._module.update()
            return
        with self.scaled_back():
            self._module.update()
        self.updated(1)

    def updated(self, count: int) -> None:
        """Take note of updates."""
        if self.scale is not None:
            self.scale.succeeded(count)

    def leave_out(self) -> bool:
        """Leave an update out and lower the scale; False where it cannot be lowered."""
        if self.scale is None or not self.scale.overflowed():
            return False
        self.skipped += 1
        self.skipped_in_epoch += 1
        self._module.mark_changed()  # the averages of BatchNorm have moved
        return True

    @contextmanager
    def scaled_back(self) -> Iterator[None]:
        """Let the optimizer undo the scale within the ``with`` block."""
        if self.scale is None or self._divides:
            yield
            return
        optimizer = self._module.optimizer
        own = optimizer.rescale_grad
        if self._rescale[:2] != (own, self.scale.value):
            # The same object in every update: a rule looks whether settings are others.
            self._rescale = (own, self.scale.value, own / self.scale.value)
        optimizer.rescale_grad = self._rescale[2]
        try:
            yield
        finally:
            optimizer.rescale_grad = own

    # -- telling and storing -----------------------------------------------------------------

    def begin_epoch(self) -> None:
        """Count the updates left out anew."""
        self.skipped_in_epoch = 0

    def values(self) -> dict[str, float]:
        """Return what the metrics of an epoch hold of it, by column; nothing without a scale."""
        if self.scale is None:
            return {}
        return {LOSS_SCALE: self.scale.value, SKIPPED: self.skipped_in_epoch}

    def state(self) -> dict[str, Any] | None:
        """Return what it takes to go on, None where losses are not scaled."""
        if self.scale is None:
            return None
        counts = {"skipped": self.skipped, "skipped_in_epoch": self.skipped_in_epoch}
        return {**counts, "scale": self.scale.state()}

    def set_state(self, values: Mapping[str, Any] | None) -> None:
        """Take over what `state` returned."""
        if self.scale is not None and values is not None:
            self.skipped = int(values["skipped"])
            self.skipped_in_epoch = int(values["skipped_in_epoch"])
            self.scale.set_state(values["scale"])


def _undoes_scales(module: Module) -> bool:
    """Whether dividing `rescale_grad` gives every rule of the optimizer the true gradient."""
    if not module.optimizer_initialized:
        return True  # it is only tried out, and never updated
    optimizer = module.optimizer
    has_half = any(grad.dtype == np.float16 for grad in module.flat_gradients())
    return (
        optimizer.has_rule
        and optimizer.prepares_gradient
        and (optimizer.multi_precision or not has_half)
    )


def _is_finite(grad: Array) -> bool:
    if grad.dtype != np.float16:
        total = np.dot(grad, grad)
        if total - total == 0.0:
            return True  # else the squares may have overflowed where the gradient has not
    return not grad.size or bool(np.isfinite(grad.min()) and np.isfinite(grad.max()))


def _norm(grads: Sequence[Array]) -> float:
    """Return the norm of all arrays together."""
    norm = float(np.sqrt(sum(map(_sum_of_squares, grads))))
    if not np.isfinite(norm):  # the squares may overflow where the gradient does not
        norm = float(np.sqrt(sum(np.square(grad, dtype=np.float64).sum() for grad in grads)))
    return norm


def _sum_of_squares(grad: Array) -> float:
    if grad.dtype == np.float16:  # would lose most squares below and above its range
        return float(np.square(grad, dtype=np.float64).sum())
    return float(np.dot(grad, grad))
