"""Training: one epoch of forward, backward, update and measuring, with its callbacks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from mxtrain import metric as metrics
from mxtrain.model import BatchEndParam

if TYPE_CHECKING:
    from mxtrain.module.base_module import BaseModule

Callbacks = Callable[..., Any] | Sequence[Callable[..., Any]] | None


def train_epoch(
    module: BaseModule,
    epoch: int,
    train_data: Any,
    eval_metric: Any,
    batch_end_callback: Callbacks,
    monitor: Any,
) -> list[tuple[str, float]]:
    """Train on every batch once and return the metric's values over the epoch.

    The next batch is fetched before the callbacks of a batch run. Raises StopIteration for an
    iterator without a batch, as MXNet does.
    """
    eval_metric.reset()
    nbatch = 0
    values: list[tuple[str, float]] = []
    batches = iter(train_data)
    next_batch = next(batches, None)
    if next_batch is None:
        raise StopIteration(
            "the training data gave no batch; call reset() on an iterator that has been used up"
        )
    while next_batch is not None:
        data_batch = next_batch
        if monitor is not None:
            monitor.tic()
        module.forward_backward(data_batch)
        module.update()
        module.update_metric(eval_metric, data_batch.label)
        next_batch = next(batches, None)
        if next_batch is None:
            values = eval_metric.get_global_name_value()
        else:
            module.prepare(next_batch)
        if monitor is not None:
            monitor.toc_print()
        call_all(
            batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, seen(module, locals()))
        )
        nbatch += 1
    return values


def seen(module: BaseModule, variables: dict[str, Any]) -> dict[str, Any]:
    """Return what callbacks see as ``locals``: a loop's variables, the module as ``self``."""
    return {**variables, "self": module}


def as_metric(metric: Any) -> Any:
    """Return a metric as it is, and make one of a name, function or list."""
    return metric if isinstance(metric, metrics.EvalMetric) else metrics.create(metric)


def call_all(callbacks: Callbacks, *arguments: Any) -> None:
    """Call one function, each of several, or none."""
    if callable(callbacks):
        callbacks(*arguments)
        return
    for callback in callbacks or ():
        callback(*arguments)
