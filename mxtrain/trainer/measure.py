"""Loss and metrics of an epoch, every row counted once.

Outputs and labels of several batches are collected and measured together, since measuring a small
batch costs as much as training on it. The pieces have a fixed length, so that the sums do not
depend on the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mxtrain.trainer.outputs import Head

Array = np.ndarray[Any, Any]

# Bytes of outputs that are collected before they are measured.
PIECE_BYTES = 1 << 20
MAX_BATCHES = 64


class Measure:
    """Accumulates loss and metrics over batches.

    Parameters
    ----------
    heads : the outputs with a loss.
    metric : a (composite) metric that counts rows, or None.
    labels : names of the label inputs.
    outputs, label_arrays : buffers of a full batch, for their shapes.
    """

    def __init__(
        self,
        heads: Sequence[Head],
        metric: Any,
        outputs: dict[str, Array],
        labels: dict[str, Array],
    ) -> None:
        self.heads, self.metric = list(heads), metric
        size = max((a.nbytes for a in [*outputs.values(), *labels.values()]), default=1)
        self._capacity = int(min(max(PIECE_BYTES // max(size, 1), 1), MAX_BATCHES))
        self._outputs = {n: _piece(a, self._capacity) for n, a in outputs.items()}
        self._labels = {n: _piece(a, self._capacity) for n, a in labels.items()}
        self._rows = {n: len(a) for n, a in [*outputs.items(), *labels.items()]}
        self.reset()

    def reset(self) -> None:
        """Begin a new epoch."""
        self._filled = dict.fromkeys(self._rows, 0)
        self._batches = 0
        self._sums = {head.node: 0.0 for head in self.heads}
        self._counts = {head.node: 0 for head in self.heads}
        if self.metric is not None:
            self.metric.reset()

    def add(self, outputs: dict[str, Array], labels: dict[str, Array], pad: int = 0) -> None:
        """Take the outputs and labels of a batch; the last `pad` rows do not count."""
        for store, arrays in ((self._outputs, outputs), (self._labels, labels)):
            for name, array in arrays.items():
                start = self._filled[name]
                stop = start + len(array) - (pad * len(array) // self._rows[name] if pad else 0)
                store[name][start:stop] = array[: stop - start]
                self._filled[name] = stop
        self._batches += 1
        if self._batches == self._capacity:
            self.flush()

    def flush(self) -> None:
        """Measure what has been collected."""
        if self._batches == 0:
            return
        outputs = {n: a[: self._filled[n]] for n, a in self._outputs.items()}
        labels = {n: a[: self._filled[n]] for n, a in self._labels.items()}
        for head in self.heads:
            label = labels[head.label] if head.label is not None else None
            with np.errstate(all="ignore"):
                total, count = head.operator.loss(np, outputs[head.output], label)
            self._sums[head.node] += total
            self._counts[head.node] += count
        if self.metric is not None:
            self.metric.update_dict(labels, {h.output: outputs[h.output] for h in self.heads})
        self._filled = dict.fromkeys(self._rows, 0)
        self._batches = 0

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
        if self.metric is not None:
            shown |= {name: float(value) for name, value in self.metric.get_name_value()}
        return shown


def _piece(array: Array, capacity: int) -> Array:
    return np.empty((len(array) * capacity, *array.shape[1:]), array.dtype)


def is_finite(outputs: Sequence[Array]) -> bool:
    """Whether the outputs are finite, told from their sum (at the cost of one pass)."""
    for output in outputs:
        total = float(np.add.reduce(output, None))
        if total - total != 0.0:
            return False
    return True


def losses_are_finite(heads: Sequence[Head], outputs: dict[str, Array], labels: Any) -> bool:
    """Whether the loss of every output is finite; the exact question behind `is_finite`."""
    with np.errstate(all="ignore"):
        totals = [
            head.operator.loss(np, outputs[head.output], labels.get(head.label))[0]
            for head in heads
        ]
    return bool(np.isfinite(totals).all())
