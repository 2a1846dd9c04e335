"""Loss and metrics of an epoch, every row counted once.

Outputs and labels of several batches are collected and measured together, since measuring a small
batch costs as much as training on it. The pieces have a fixed length, so that the sums do not
depend on the clock.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.trainer.attributes import Attributes
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.metrics import RunMetric
from mxtrain.trainer.outputs import Head

if TYPE_CHECKING:
    from mxtrain.trainer.bound import BoundBatch

Array = np.ndarray[Any, Any]

# Bytes of outputs that are collected before they are measured.
PIECE_BYTES = 1 << 20
MAX_BATCHES = 64


class Measure:
    """Accumulates loss and metrics over batches.

    Parameters
    ----------
    heads : the outputs with a loss.
    metrics : what is measured beside the loss.
    labels : names of the label inputs.
    full : the largest batch there will be.

    Attributes
    ----------
    remembered : what each metric remembers.
    """

    def __init__(
        self,
        heads: Sequence[Head],
        metrics: Sequence[RunMetric],
        labels: Sequence[str],
        full: BoundBatch,
    ) -> None:
        self.heads, self.metrics = list(heads), list(metrics)
        self.remembered = [Attributes(one.metric) for one in self.metrics]
        self._names = [*(head.output for head in heads), *labels]
        self._rows = full.rows
        self._widths = [
            _width(name, array, full.rows)
            for name, array in zip(self._names, full.measured, strict=True)
        ]
        largest = max(array.nbytes for array in full.measured)
        self._capacity = int(min(max(PIECE_BYTES // max(largest, 1), 1), MAX_BATCHES))
        # A captured step writes into them, so they are where the batch is.
        self._pieces = [
            full.empty((self._capacity * full.rows * width, *array.shape[1:]), array.dtype)
            for array, width in zip(full.measured, self._widths, strict=True)
        ]
        self._slots = [self._slot(i * full.rows, full.rows) for i in range(self._capacity)]
        self._full = full
        self.reset()

    def nbytes(self) -> int:
        """Return the bytes of what is collected before it is measured."""
        return sum(piece.nbytes for piece in self._pieces)

    def reset(self) -> None:
        """Begin a new epoch."""
        self._batches, self._filled = 0, 0
        self._sums = {head.node: 0.0 for head in self.heads}
        self._counts = {head.node: 0 for head in self.heads}
        for one in self.metrics:
            one.metric.reset()

    def add(self, batch: BoundBatch, pad: int = 0) -> None:
        """Take the outputs and labels of a batch; its last `pad` rows do not count."""
        if batch is self._full and pad == 0 and self._filled == self._batches * self._rows:
            for target, source in zip(self._slots[self._batches], batch.measured, strict=True):
                np.copyto(target, source)
            self._filled += self._rows
        else:
            rows = batch.rows - pad
            for target, source in zip(self._slot(self._filled, rows), batch.measured, strict=True):
                np.copyto(target, source[: len(target)])
            self._filled += rows
        self._batches += 1
        if self._batches == self._capacity:
            self.flush()

    def room(self) -> int:
        """Return how many full batches can be put into `next_slots` before they are measured."""
        if self._filled != self._batches * self._rows:
            return 0
        return self._capacity - self._batches

    def next_slots(self) -> list[Array]:
        """Return where the outputs and labels of the coming full batches go."""
        return self._slots[self._batches]

    def took(self, batches: int) -> None:
        """Take note of full batches that the caller put there."""
        self._batches += batches
        self._filled += batches * self._rows
        if self._batches == self._capacity:
            self.flush()

    def _slot(self, start: int, rows: int) -> list[Array]:
        return [
            piece[start * width : (start + rows) * width]
            for piece, width in zip(self._pieces, self._widths, strict=True)
        ]

    def state(self) -> dict[str, Any]:
        """Return the sums, and what has been collected but not measured."""
        return {
            "sums": dict(self._sums),
            "counts": dict(self._counts),
            "batches": self._batches,
            "filled": self._filled,
            "collected": [np.array(part) for part in self._slot(0, self._filled)],
            "metrics": [attributes.state() for attributes in self.remembered],
        }

    def set_state(self, values: Mapping[str, Any]) -> None:
        """Take over what `state` returned.

        Raises ValueError where there are other outputs or metrics than these.
        """
        self.reset()
        if list(values["sums"]) != list(self._sums):
            raise ValueError(f"sums of {list(values['sums'])}, not of {list(self._sums)}")
        self._sums, self._counts = dict(values["sums"]), dict(values["counts"])
        self._batches, self._filled = values["batches"], values["filled"]
        for part, kept in zip(self._slot(0, self._filled), values["collected"], strict=True):
            np.copyto(part, kept)
        for attributes, kept in zip(self.remembered, values["metrics"], strict=True):
            attributes.set_state(kept)

    def flush(self) -> None:
        """Measure what has been collected."""
        if self._batches == 0:
            return
        parts = dict(zip(self._names, self._slot(0, self._filled), strict=True))
        for head in self.heads:
            total, count = loss_of(head, parts)
            self._sums[head.node] += total
            self._counts[head.node] += count
        for one in self.metrics:
            one.update(parts, parts)
        self._batches, self._filled = 0, 0

    def values(self) -> dict[str, float]:
        """Return loss and metrics by the names they are shown under, ``loss`` first.

        With several outputs ``loss`` is the sum, and each has its own ``<node>_loss``.
        """
        losses = {
            node: total / self._counts[node] if self._counts[node] else float("nan")
            for node, total in self._sums.items()
        }
        shown = {"loss": float(sum(losses.values()))}
        if len(losses) > 1:
            shown |= {f"{node}_loss": value for node, value in losses.items()}
        for one in self.metrics:
            shown |= one.values()
        return shown

    def values_so_far(self) -> dict[str, float]:
        """Return the values with the batches still waiting, and leave those waiting."""
        kept = (self.metrics, self._sums, self._counts, self._batches, self._filled)
        self.metrics = [replace(one, metric=copy.deepcopy(one.metric)) for one in self.metrics]
        self._sums, self._counts = dict(self._sums), dict(self._counts)
        try:
            self.flush()
            return self.values()
        finally:
            self.metrics, self._sums, self._counts, self._batches, self._filled = kept


def loss_of(head: Head, arrays: dict[str, Array]) -> tuple[float, int]:
    """Return the sum of an output's loss and the number of rows, given arrays by name."""
    label = arrays[head.label] if head.label is not None else None
    with np.errstate(all="ignore"):
        return head.operator.loss(np, arrays[head.output], label)


def _width(name: str, array: Array, rows: int) -> int:
    """Rows of an output or label for each row of the batch."""
    width, rest = divmod(len(array), rows)
    if len(array) == 1:
        return 1  # a mean over the batch: it counts for each of its rows
    if rest or not width:
        raise SetupError(
            f"'{name}' has shape {array.shape} for a batch of {rows}: its first axis must be that "
            "of the rows (or have length 1), so that every row can be counted once"
        )
    return width
