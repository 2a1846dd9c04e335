"""Scoring: a metric over all batches of an iterator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mxtrain.model import BatchEndParam
from mxtrain.module.training import Callbacks, call_all, seen

if TYPE_CHECKING:
    from mxtrain.module.base_module import BaseModule


def measure(
    module: BaseModule,
    eval_data: Any,
    eval_metric: Any,
    num_batch: int | None,
    batch_end_callback: Callbacks,
    score_end_callback: Callbacks,
    reset: bool,
    epoch: int,
    count_padding: bool,
) -> list[tuple[str, float]]:
    """Return the metric's (name, value) pairs over at most `num_batch` batches."""
    if reset:
        eval_data.reset()
    eval_metric.reset()
    actual_num_batch = 0
    for nbatch, eval_batch in enumerate(eval_data):
        if nbatch == num_batch:
            break
        module.prepare(eval_batch)
        module.forward(eval_batch, is_train=False)
        if count_padding or not eval_batch.pad:
            module.update_metric(eval_metric, eval_batch.label)
        else:
            update_unpadded(module, eval_metric, eval_batch)
        call_all(
            batch_end_callback, BatchEndParam(epoch, nbatch, eval_metric, seen(module, locals()))
        )
        actual_num_batch += 1
    if score_end_callback is not None:
        param = BatchEndParam(epoch, actual_num_batch, eval_metric, seen(module, locals()))
        call_all(score_end_callback, param)
    pairs: list[tuple[str, float]] = eval_metric.get_name_value()
    return pairs


def update_unpadded(module: BaseModule, eval_metric: Any, batch: Any) -> None:
    """Let a metric see the rows of a batch that do not pad it."""
    rows = slice(0, batch.data[0].shape[0] - batch.pad)
    labels = zip(module.label_names, batch.label, strict=True)
    outputs = zip(module.symbol.list_outputs(), module.get_outputs(), strict=True)
    eval_metric.update_dict(
        {name: label[rows] for name, label in labels},
        {name: output[rows] for name, output in outputs},
    )
