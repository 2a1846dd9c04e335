"""The best epoch so far, its weights, and whether to stop."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.trainer.metrics import RunMetric, higher_is_better, resolve

if TYPE_CHECKING:
    from mxtrain.config.spec import FitSpec
    from mxtrain.module import Module


# Elements that are exchanged at once.
_PIECE = 1 << 16


class Best:
    """Follows one value over the epochs.

    It is the early-stopping metric, or else the first metric (the loss without one), measured on
    the eval rows where there are any. The weights of the best epoch are kept in memory.

    Parameters
    ----------
    fit : the settings.
    metrics : those of the run.
    has_eval : whether there are eval rows.

    Attributes
    ----------
    epoch, value : the best epoch so far and its value; None before the first.
    name : what is followed, such as ``eval_accuracy``.
    restores : whether the run ends with the best weights: with early stopping.
    """

    def __init__(self, fit: FitSpec, metrics: Sequence[RunMetric], has_eval: bool) -> None:
        stopping = fit.early_stopping
        first = metrics[0].names()[0] if metrics else "loss"
        self._shown = first if stopping is None else resolve(stopping.metric, metrics)
        self._sign = 1.0 if higher_is_better(self._shown, metrics) else -1.0
        self._patience = math.inf if stopping is None else stopping.patience
        self._min_delta = 0.0 if stopping is None else stopping.min_delta
        self.restores = stopping is not None
        self.name = f"{'eval' if has_eval else 'train'}_{self._shown}"
        self.epoch: int | None = None
        self.value: float | None = None
        self._reference = -math.inf
        self._waited = 0
        self._weights: list[Any] = []

    def see(
        self, epoch: int, train: dict[str, float], evaluated: dict[str, float], module: Module
    ) -> bool:
        """Take an epoch's values; return whether it is the best so far (NaN never is)."""
        value = (evaluated or train)[self._shown]
        self._waited += 1
        if self._sign * value > self._reference + self._min_delta:
            self._reference, self._waited = self._sign * value, 0
        better = not math.isnan(value) and (
            self.value is None or self._sign * (value - self.value) > 0
        )
        if better:
            self.epoch, self.value = epoch, value
            self.keep(module)
        return better

    def state(self) -> dict[str, Any]:
        """Return what it knows; the weights are in a file of their own."""
        return {
            "name": self.name,
            "epoch": self.epoch,
            "value": self.value,
            "reference": self._reference,
            "waited": self._waited,
        }

    def set_state(self, values: Mapping[str, Any]) -> bool:
        """Take over what `state` returned; return False, unchanged, where another value is told.

        `keep` has to follow when the module has the best weights.
        """
        if values["name"] != self.name:
            return False
        self.epoch, self.value = values["epoch"], values["value"]
        self._reference, self._waited = values["reference"], values["waited"]
        return True

    def lose(self) -> None:
        """Let the best epoch be the best of those to come: its weights are lost.

        What early stopping has counted stays.
        """
        self.epoch, self.value = None, None

    def keep(self, module: Module) -> None:
        """Remember the weights of the module as the best."""
        arrays = module.parameter_arrays()
        if not self._weights:
            self._weights = [np.empty_like(array) for array in arrays]
        for kept, array in zip(self._weights, arrays, strict=True):
            np.copyto(kept, array)

    @property
    def should_stop(self) -> bool:
        """Whether the value has not improved by `min_delta` for `patience` epochs."""
        return self._waited >= self._patience

    @property
    def stopping_reason(self) -> str:
        """Why the run stops, where it should."""
        side, _, name = self.name.partition("_")
        if self._min_delta:
            epochs = f"{self._waited} epochs" if self._waited > 1 else "an epoch"
            return f"{side} {name} has not improved by {self._min_delta:g} for {epochs}"
        is_known = self.value is not None and self._sign * self.value >= self._reference
        since = f"since epoch {self.epoch}" if is_known else f"for {self._waited} epochs"
        return f"{side} {name} has not improved {since}"

    def restore(self, module: Module) -> None:
        """Put the best weights back; nothing happens where there are none."""
        for kept, array in zip(self._weights, module.parameter_arrays(), strict=False):
            np.copyto(array, kept)
        module.mark_changed()

    @contextmanager
    def in_place(self, module: Module) -> Iterator[None]:
        """Let the module have the best weights within the ``with`` block."""
        self._swap(module)
        try:
            yield
        finally:
            self._swap(module)

    def _swap(self, module: Module) -> None:
        """Exchange the weights kept here and the module's, piece by piece."""
        for kept, array in zip(self._weights, module.parameter_arrays(), strict=False):
            one, other = kept.reshape(-1), array.reshape(-1)
            for start in range(0, one.size, _PIECE):
                part = slice(start, start + _PIECE)
                one[part], other[part] = other[part].copy(), one[part].copy()
        module.mark_changed()
