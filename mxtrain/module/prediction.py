"""Prediction: outputs for all of an iterator's batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import nd
from mxtrain.io import DataBatch

if TYPE_CHECKING:
    from mxtrain.module.base_module import BaseModule
    from mxtrain.nd import NDArray


def outputs_by_batch(
    module: BaseModule, eval_data: Any, num_batch: int | None, reset: bool
) -> Iterator[tuple[list[NDArray], int, Any]]:
    """Yield (outputs, number, batch) for each batch, the rows that pad it dropped."""
    if reset:
        eval_data.reset()
    for nbatch, batch in enumerate(eval_data):
        if nbatch == num_batch:
            break
        module.prepare(batch)
        module.forward(batch, is_train=False)
        pad = batch.pad or 0
        outputs = [nd.view(out[: out.shape[0] - pad]) for out in module.get_outputs()]
        yield outputs, nbatch, batch


def predict_array(module: BaseModule, array: Any) -> NDArray:
    """Return the first output for an array that is one batch."""
    module.forward(DataBatch([array]), is_train=False)
    return module.get_outputs()[0].copy()


def merged(batches: list[list[NDArray]], always_list: bool) -> Any:
    """Join the outputs of batches: one array, or a list of several outputs' arrays.

    Raises ValueError when the batches have different numbers of outputs.
    """
    counts = {len(outputs) for outputs in batches}
    if len(counts) != 1:
        raise ValueError(f"batches gave different numbers of outputs: {sorted(counts)}")
    joined = [nd.view(np.concatenate(parts)) for parts in zip(*batches, strict=True)]
    return joined[0] if len(joined) == 1 and not always_list else joined
