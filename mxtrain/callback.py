"""Callbacks of `Module.fit` and `Module.score`: log lines and checkpoints.

Batch callbacks take one argument with the fields ``epoch``, ``nbatch``, ``eval_metric`` and
``locals`` (``model.BatchEndParam``); epoch callbacks take ``(epoch, symbol, arg_params,
aux_params)``. Epochs and batches are numbered from 0. Log lines go to the root logger, level INFO.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

__all__ = [
    "LogValidationMetricsCallback",
    "ProgressBar",
    "Speedometer",
    "do_checkpoint",
    "log_train_metric",
    "module_checkpoint",
]

EpochEnd = Callable[..., None]


class Speedometer:
    """Log the speed, and the metric so far, every ``frequent`` batches; a batch callback.

    The first call of an epoch starts the clock. A line at batch n times the batches n-frequent+1
    to n. With ``auto_reset`` its metric covers the batches since the previous line, for the local
    sums are cleared afterwards; otherwise it covers the epoch so far.

    Parameters
    ----------
    batch_size : rows per batch.
    frequent : batches between two lines, at least 1 (ValueError).
    auto_reset : clear the metric's local sums after each line.

    Source: ``mxnet.callback.Speedometer``, release 1.9.1.
    """

    def __init__(self, batch_size: int, frequent: int = 50, auto_reset: bool = True) -> None:
        self.batch_size = batch_size
        self.frequent = _at_least_one("frequent", frequent)
        self.auto_reset = auto_reset
        self._started_at: float | None = None
        self._last_batch = 0

    def __call__(self, param: Any) -> None:
        """Take note of a batch, and log a line when it is time."""
        batch = param.nbatch
        if batch < self._last_batch:
            self._started_at = None
        self._last_batch = batch
        if self._started_at is None:
            self._started_at = time.time()
        elif batch % self.frequent == 0:
            seconds = time.time() - self._started_at
            self._log(param, self.frequent * self.batch_size / seconds if seconds else math.inf)
            self._started_at = time.time()

    def _log(self, param: Any, speed: float) -> None:
        metric, batch = param.eval_metric, param.nbatch
        if metric is None:
            where = f"Iter[{param.epoch}] Batch [{batch}]"
        else:
            first = batch - self.frequent if self.auto_reset else 0
            where = f"Epoch[{param.epoch}] Batch [{first}-{batch}]"
        values = [] if metric is None else metric.get_name_value()
        line = "".join([f"{where}\tSpeed: {speed:.2f} samples/sec", *map(_shown, values)])
        if metric is not None and self.auto_reset:
            metric.reset_local()
        logging.getLogger().info("%s", line)


class ProgressBar:
    """Log a bar of the batches done; a batch callback.

    Parameters
    ----------
    total : batches of an epoch, at least 1 (ValueError).
    length : cells of the bar.

    Source: ``mxnet.callback.ProgressBar``, release 1.9.1.
    """

    def __init__(self, total: int, length: int = 80) -> None:
        self.total = _at_least_one("total", total)
        self.bar_len = length

    def __call__(self, param: Any) -> None:
        """Log the bar as it stands after batch number ``param.nbatch``."""
        filled = round(self.bar_len * param.nbatch / self.total)
        percent = math.ceil(100.0 * param.nbatch / self.total)
        bar = "=" * filled + "-" * (self.bar_len - filled)
        logging.getLogger().info("[%s] %s%%\r", bar, percent)


class LogValidationMetricsCallback:
    """Log the metric after a validation; an ``eval_end_callback``.

    Source: ``mxnet.callback.LogValidationMetricsCallback``, release 1.9.1.
    """

    def __call__(self, param: Any) -> None:
        """Log one line per value of ``param.eval_metric``; none without a metric."""
        if param.eval_metric is None:
            return
        for name, value in param.eval_metric.get_name_value():
            logging.getLogger().info("Epoch[%d] Validation-%s=%f", param.epoch, name, value)


def log_train_metric(period: int, auto_reset: bool = False) -> Callable[[Any], None]:
    """Return a batch callback that logs the metric at every batch number divisible by `period`.

    `period` must be at least 1 (ValueError). With `auto_reset` the metric's local sums are cleared
    after each line.

    Source: ``mxnet.callback.log_train_metric``, release 1.9.1.
    """
    period = _at_least_one("period", period)

    def callback(param: Any) -> None:
        if param.nbatch % period or param.eval_metric is None:
            return
        for name, value in param.eval_metric.get_name_value():
            place = (param.epoch, param.nbatch)
            logging.getLogger().info("Iter[%d] Batch[%d] Train-%s=%f", *place, name, value)
        if auto_reset:
            param.eval_metric.reset_local()

    return callback


def do_checkpoint(prefix: str, period: int = 1) -> EpochEnd:
    """Return an epoch callback that saves symbol and parameters every `period` epochs.

    Epoch e (from 0) is saved under e+1: ``prefix-symbol.json`` and ``prefix-NNNN.params``. A
    `period` below 1 means 1.

    Source: ``mxnet.callback.do_checkpoint``, release 1.9.1.
    """
    period = int(max(1, period))

    def callback(epoch: int, symbol: Any, arg_params: Any, aux_params: Any) -> None:
        if (epoch + 1) % period == 0:
            from mxtrain.model import save_checkpoint

            save_checkpoint(prefix, epoch + 1, symbol, arg_params, aux_params)

    return callback


def module_checkpoint(
    mod: Any, prefix: str, period: int = 1, save_optimizer_states: bool = False
) -> EpochEnd:
    """Return an epoch callback that calls `mod.save_checkpoint` every `period` epochs.

    As `do_checkpoint`, and with `save_optimizer_states` the optimizer's states are saved too, as
    ``prefix-NNNN.states``.

    Source: ``mxnet.callback.module_checkpoint``, release 1.9.1.
    """
    period = int(max(1, period))

    def callback(
        epoch: int, symbol: Any = None, arg_params: Any = None, aux_params: Any = None
    ) -> None:
        if (epoch + 1) % period == 0:
            mod.save_checkpoint(prefix, epoch + 1, save_optimizer_states)

    return callback


def _shown(name_and_value: tuple[str, float]) -> str:
    name, value = name_and_value
    return f"\t{name}={value:f}"


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise ValueError(f"{name} must be at least 1 batch, got {value}; raise it")
    return value
