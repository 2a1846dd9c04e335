"""Which rows each batch has, and how they get into a network's input buffers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from mxtrain.random import stream

if TYPE_CHECKING:
    from mxtrain.trainer.data import Rows

Array = np.ndarray[Any, Any]


class Batch(NamedTuple):
    """Row numbers of one batch; the last `pad` of them fill it up and are counted elsewhere."""

    rows: Array
    pad: int = 0


class Batches:
    """The batches of each epoch: a pure function of (seed, epoch), except what rolls over.

    The order is that of ``NDArrayIter(shuffle=True, seed=seed)``.

    Parameters
    ----------
    count : number of rows.
    size : rows per batch.
    last : what happens to a short last batch: ``keep``, ``pad``, ``discard`` or ``roll_over``.
    seed : decides the order; None keeps the rows as they are.
    """

    def __init__(self, count: int, size: int, last: str = "keep", seed: int | None = None) -> None:
        self.count, self.size, self.last = count, size, last
        self._stream = None if seed is None else stream(seed, "shuffle")
        self.carried: Array = np.empty(0, np.int64)

    def per_epoch(self) -> int:
        """Return the number of batches of the coming epoch."""
        rows = self.count + len(self.carried)
        if self.last in ("discard", "roll_over"):
            return rows // self.size
        return -(-rows // self.size)

    def sizes(self) -> list[int]:
        """Return the different lengths that batches have."""
        rest = self.count % self.size if self.last == "keep" else 0
        whole = [self.size] if self.count >= self.size or self.last != "keep" else []
        return [*whole, rest] if rest else whole

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """Yield the batches of an epoch."""
        order = self._order(epoch)
        if len(self.carried):
            order = np.concatenate([self.carried, order])
        whole = len(order) // self.size * self.size
        rest = order[whole:]
        if self.last == "roll_over":
            self.carried = rest
        for rows in order[:whole].reshape(-1, self.size):
            yield Batch(rows)
        if len(rest) and self.last == "keep":
            yield Batch(rest)
        elif len(rest) and self.last == "pad":
            missing = self.size - len(rest)
            yield Batch(np.concatenate([rest, np.resize(order, missing)]), missing)

    def _order(self, epoch: int) -> Array:
        if self._stream is None:
            return np.arange(self.count)
        return self._stream.permutation(epoch, self.count)


class Gathered(NamedTuple):
    """All rows, the buffer for those of a batch, and the offsets and factors of scaled bytes."""

    source: Array
    buffer: Array
    scaling: tuple[Array, Array] | None = None


class Loader:
    """Gathers rows straight into input buffers, and scales those that are kept as bytes."""

    def __init__(self, rows: Rows) -> None:
        self._data, self._labels, self._scaler = rows.data, rows.labels, rows.scaler
        self._gathered: dict[tuple[int, ...], Array] = {}

    def gathered(self, data: Array, labels: Sequence[Array]) -> list[Gathered]:
        """Return what `fill` gathers."""
        scaler = self._scaler
        scaling = None if scaler is None else (scaler.offset, scaler.factor)
        columns = zip(self._labels, labels, strict=True)
        return [Gathered(self._data, data, scaling), *(Gathered(*column) for column in columns)]

    def fill(self, numbers: Array, data: Array, labels: Sequence[Array]) -> None:
        """Copy the rows of these numbers into the data buffer and the label buffers."""
        # With mode "clip" NumPy writes into the buffer; otherwise it makes a copy first.
        if self._data.dtype == data.dtype and self._scaler is None:
            self._data.take(numbers, 0, data, "clip")
        else:
            # Bytes stay bytes in memory and become floats on their way into the buffer.
            gathered = self._buffer(data.shape)
            self._data.take(numbers, 0, gathered, "clip")
            if self._scaler is None:
                np.copyto(data, gathered)
            else:
                self._scaler.apply(gathered, data)
        for column, label in zip(self._labels, labels, strict=True):
            column.take(numbers, 0, label, "clip")

    def nbytes(self) -> int:
        """Return the bytes it needs itself so far."""
        own = sum(buffer.nbytes for buffer in self._gathered.values())
        return own if self._scaler is None else own + self._scaler.nbytes

    def _buffer(self, shape: tuple[int, ...]) -> Array:
        if shape not in self._gathered:
            self._gathered[shape] = np.empty(shape, self._data.dtype)
        return self._gathered[shape]
