"""The best epoch so far, its weights, and whether to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import metric as metrics

if TYPE_CHECKING:
    from mxtrain.config.spec import FitSpec
    from mxtrain.module import Module


class Best:
    """Follows one value over the epochs.

    It is the early-stopping metric, or else the first metric (the loss without one), measured on
    the eval rows where there are any. With early stopping the weights of the best epoch are kept
    in memory.
    """

    def __init__(self, fit: FitSpec, has_eval: bool) -> None:
        stopping = fit.early_stopping
        self._side = "eval" if has_eval else "train"
        self._wanted = stopping.metric if stopping is not None else None
        self._patience = stopping.patience if stopping is not None else None
        self._min_delta = stopping.min_delta if stopping is not None else 0.0
        self.epoch: int | None = None
        self.name: str | None = None
        self.value: float | None = None
        self._reference: float | None = None
        self._waited = 0
        self._weights: list[Any] | None = None

    def see(
        self, epoch: int, train: dict[str, float], evaluated: dict[str, float], module: Module
    ) -> bool:
        """Take an epoch's values; return whether it is the best so far."""
        values = evaluated or train
        name = self._choose(values)
        value, sign = values[name], 1.0 if higher_is_better(name) else -1.0
        if np.isnan(value):
            self._waited += 1
            return False
        better = self.value is None or sign * (value - self.value) > 0
        if self._reference is None or sign * (value - self._reference) > self._min_delta:
            self._reference, self._waited = value, 0
        else:
            self._waited += 1
        if better:
            self.epoch, self.value = epoch, value
            self.name = f"{self._side}_{name}"
            if self._patience is not None:
                self._keep(module)
        return better

    def _choose(self, values: dict[str, float]) -> str:
        if self._wanted is not None:
            return shown_name(self._wanted, values)
        return next((name for name in values if not name.endswith("loss")), "loss")

    @property
    def should_stop(self) -> bool:
        """Whether the value has not improved for `patience` epochs."""
        return self._patience is not None and self._waited >= self._patience

    def _keep(self, module: Module) -> None:
        arrays = module.parameter_arrays()
        if self._weights is None:
            self._weights = [np.empty_like(array) for array in arrays]
        for kept, array in zip(self._weights, arrays, strict=True):
            np.copyto(kept, array)

    def restore(self, module: Module) -> bool:
        """Put the best weights back; return whether there were any."""
        if self._weights is None:
            return False
        for kept, array in zip(self._weights, module.parameter_arrays(), strict=True):
            np.copyto(array, kept)
        module.mark_changed()
        return True


def shown_name(wanted: str, values: dict[str, float]) -> str:
    """Return the name under which a metric of the config is shown (``acc`` is ``accuracy``)."""
    if wanted in values:
        return wanted
    if wanted in metrics.registry:
        cls = metrics.registry.get(wanted)
        for name in values:
            if name in metrics.registry and metrics.registry.get(name) is cls:
                return name
    return wanted if wanted in values else next(iter(values))


def higher_is_better(name: str) -> bool:
    """Whether larger values of a shown metric are better (False for losses)."""
    base = name if name in metrics.registry else name.rsplit("_", 1)[0]
    if base not in metrics.registry:
        return False
    return bool(metrics.registry.get(base).higher_is_better)
