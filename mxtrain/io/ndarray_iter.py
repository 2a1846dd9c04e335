"""`NDArrayIter`: batches of arrays that are in memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mxtrain import nd
from mxtrain.errors import CallError, MXNetError
from mxtrain.io.base import DataDesc, DataIter
from mxtrain.nd import NDArray
from mxtrain.random import stream

__all__ = ["NDArrayIter"]

Named = tuple[str, NDArray]
Rows = slice | np.ndarray[Any, Any]


class NDArrayIter(DataIter):
    """Batches of one or more arrays in memory.

    Parameters
    ----------
    data, label : an array, a list of arrays or a dict of arrays by name. NumPy arrays are copied
        to float32 whatever their type; an `NDArray` keeps its type and is not copied.
    batch_size : samples per batch.
    shuffle : a new order for each epoch.
    last_batch_handle : what becomes of the samples left over at the end of an epoch: ``"pad"``
        fills the batch with samples from the start and counts them in `pad`; ``"discard"`` drops
        them; ``"roll_over"`` puts them in front of the next epoch's first batch, whose `pad` is
        their number; ``"keep"`` (not in MXNet) hands out a short batch.
    data_name, label_name : names of a single array, and the endings of those in a list
        (``_0_data``, ``_1_data``, ...).
    layout : the meaning of the axes; samples lie along N.
    seed : None shuffles by NumPy's global generator, in the constructor and at every reset, each
        time shuffling what was shuffled before, as MXNet does. An integer makes the order of an
        epoch a pure function of (seed, epoch), see `set_epoch`.

    Batches are slices of the data where the samples lie together (shuffle off) and are therefore
    read-only; otherwise they are gathered.

    Raises CallError (an AssertionError) when there is no data, TypeError for data that is no
    array, MXNetError when the arrays differ in length.

    >>> batches = NDArrayIter(np.arange(5), batch_size=2)
    >>> [(batch.data[0].tolist(), batch.pad) for batch in batches]
    [([0.0, 1.0], 0), ([2.0, 3.0], 0), ([4.0, 0.0], 1)]
    """

    def __init__(
        self,
        data: Any,
        label: Any = None,
        batch_size: int = 1,
        shuffle: bool = False,
        last_batch_handle: str = "pad",
        data_name: str = "data",
        label_name: str = "softmax_label",
        layout: str | None = "NCHW",
        *,
        seed: int | None = None,
    ) -> None:
        super().__init__(batch_size)
        _check_settings(batch_size, last_batch_handle, layout, shuffle, seed)
        self.layout = layout
        self.data = _named_arrays(data, data_name, "data")
        self.label = _named_arrays(label, label_name, "label") if _is_given(label) else []
        self.data_list = [array for _, array in self.data + self.label]
        self.num_source = len(self.data_list)
        self.num_data = _number_of_samples(self.data + self.label, layout)
        self.shuffle = shuffle
        self.last_batch_handle = last_batch_handle
        self.idx = np.arange(self.num_data)
        self._stream = None if seed is None else stream(seed, "shuffle")
        self._order = np.arange(self.num_data)  # idx itself is shuffled in place
        self._rows: Rows | None = None
        self._ended = False
        self._complete_only = last_batch_handle not in ("pad", "keep")
        self.epoch = 0
        self._begin(self.idx[:0])

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of the inputs."""
        return [self._description(name, array) for name, array in self.data]

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of the labels."""
        return [self._description(name, array) for name, array in self.label]

    def reset(self) -> None:
        """Begin the next epoch, with the samples ``roll_over`` carries from a finished one."""
        rolls = self.last_batch_handle == "roll_over" and self._ended
        carried = self._sequence()[self.cursor + len(self._carried) :] if rolls else self.idx[:0]
        self.epoch += 1
        self._begin(carried)

    def hard_reset(self) -> None:
        """Begin the next epoch and forget what ``roll_over`` would carry."""
        self.epoch += 1
        self._begin(self.idx[:0])

    def set_epoch(self, epoch: int) -> None:
        """Go to the beginning of `epoch` (0 is the first) as if all before it had been run.

        Raises ValueError for an iterator that shuffles without a seed: its order cannot be found
        again.
        """
        if self.shuffle and self._stream is None:
            raise ValueError(
                "the order of an epoch is only known in advance with seed=; "
                "this iterator shuffles by NumPy's global generator"
            )
        if epoch < 0:
            raise ValueError(f"epochs are numbered from 0, got {epoch}")
        self.epoch = epoch
        self._begin(self._carried_into(epoch))

    def iter_next(self) -> bool:
        """Move to the next batch and say whether there is one."""
        if not self._ended:
            self.cursor += self.batch_size
            self._rows = None
            needed = self.batch_size if self._complete_only else 1
            self._ended = self.cursor + needed > self.num_data
        return not self._ended

    def getdata(self) -> list[NDArray]:
        """Return the input arrays of the current batch."""
        return self._take(self.data)

    def getlabel(self) -> list[NDArray]:
        """Return the label arrays of the current batch."""
        return self._take(self.label)

    def getpad(self) -> int:
        """Return how many samples fill the batch up (pad) or were carried over (roll_over)."""
        if self.cursor < 0:
            return -self.cursor
        if self.last_batch_handle == "pad":
            return max(0, self.cursor + self.batch_size - self.num_data)
        return 0

    def _begin(self, carried: np.ndarray[Any, Any]) -> None:
        """Start an epoch with the samples `carried`, which get positions below 0."""
        if self._stream is not None:
            self._order = self._stream.permutation(self.epoch, self.num_data)
        elif self.shuffle:
            np.random.shuffle(self.idx)
            self._order = self._order[self.idx]
        self._carried = carried
        self.cursor = -len(carried) - self.batch_size
        self._ended = False
        self._rows = None

    def _carried_into(self, epoch: int) -> np.ndarray[Any, Any]:
        """Return the samples that complete epochs before `epoch` leave over for it."""
        count = epoch * self.num_data % self.batch_size
        if self.last_batch_handle != "roll_over" or count == 0:
            return self.idx[:0]
        epochs = range(epoch - -(-count // self.num_data), epoch)
        if self._stream is None:
            return np.tile(self.idx, len(epochs))[-count:]
        orders = [self._stream.permutation(e, self.num_data) for e in epochs]
        return np.concatenate(orders)[-count:]

    def _sequence(self) -> np.ndarray[Any, Any]:
        """Return the samples of this epoch in order, those carried over first."""
        return np.concatenate([self._carried, self._order])

    def _current_rows(self) -> Rows:
        """Return which samples make the current batch, as a slice where they lie together."""
        start, stop = self.cursor, self.cursor + self.batch_size
        if start < 0:
            return self._sequence()[start + len(self._carried) :][: self.batch_size]
        if stop > self.num_data and self.last_batch_handle == "pad":
            fill = np.resize(self._order, stop - self.num_data)
            return np.concatenate([self._order[start:], fill])
        rows = slice(start, min(stop, self.num_data))
        return self._order[rows] if self.shuffle else rows

    def _take(self, arrays: list[Named]) -> list[NDArray]:
        rows = self._current_rows() if self._rows is None else self._rows
        self._rows = rows
        return [self._gather(array, rows) for _, array in arrays]

    def _gather(self, array: NDArray, rows: Rows) -> NDArray:
        """Return the samples `rows` of `array`."""
        axis = _sample_axis(array, self.layout)
        if not isinstance(rows, slice):
            return nd.view(array.take(rows, axis=axis))
        return nd.view(array[rows] if axis == 0 else array[(slice(None),) * axis + (rows,)])

    def _description(self, name: str, array: NDArray) -> DataDesc:
        axis = _sample_axis(array, self.layout)
        shape = (*array.shape[:axis], self.batch_size, *array.shape[axis + 1 :])
        return DataDesc(name, shape, array.dtype.type, self.layout)


def _check_settings(
    batch_size: int, last_batch_handle: str, layout: str | None, shuffle: bool, seed: int | None
) -> None:
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    if DataDesc.get_batch_axis(layout) < 0:
        raise ValueError(f"layout needs an N for the axis of the samples, got {layout!r}")
    if seed is not None and not shuffle:
        raise ValueError(f"seed={seed} is only used with shuffle=True; leave one out or add one")
    if last_batch_handle not in ("pad", "discard", "roll_over", "keep"):
        warnings.warn(
            f"last_batch_handle {last_batch_handle!r} is none of pad, discard, roll_over, keep; "
            "as in MXNet it means discard",
            UserWarning,
            stacklevel=3,
        )


def _named_arrays(source: Any, name: str, what: str) -> list[Named]:
    """Return (name, array) pairs, a dict's sorted by name; the arrays are read-only views."""
    if isinstance(source, np.ndarray):
        source = [source]
    if not _is_given(source):
        raise CallError(f"NDArrayIter needs {what}, got {source!r}")
    if isinstance(source, list):
        single = len(source) == 1
        pairs = [(name if single else f"_{i}_{name}", array) for i, array in enumerate(source)]
    elif isinstance(source, dict):
        pairs = sorted(source.items())
    else:
        raise TypeError(
            f"the {what} of NDArrayIter is an array, a list of arrays or a dict of arrays, "
            f"got {type(source).__name__}"
        )
    return [(key, _read_only(key, value)) for key, value in pairs]


def _is_given(source: Any) -> bool:
    return source is not None and not (isinstance(source, list | dict) and not source)


def _read_only(name: str, value: Any) -> NDArray:
    try:
        array = value.view() if isinstance(value, NDArray) else nd.array(value)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"'{name}' of NDArrayIter must be an array of numbers, got {type(value).__name__}: "
            f"{error}"
        ) from error
    array.flags.writeable = False
    return array


def _sample_axis(array: NDArray, layout: str | None) -> int:
    """Return the axis of N; labels with fewer axes than the layout have their samples first."""
    axis = DataDesc.get_batch_axis(layout)
    return axis if axis < array.ndim else 0


def _number_of_samples(arrays: list[Named], layout: str | None) -> int:
    for name, array in arrays:
        if array.ndim == 0:
            raise CallError(f"'{name}' of NDArrayIter is a single number; it needs a sample axis")
    lengths: dict[str, int] = {
        name: array.shape[_sample_axis(array, layout)] for name, array in arrays
    }
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise MXNetError(f"all arrays of NDArrayIter need the same number of samples, got {listed}")
    if 0 in lengths.values():
        raise CallError(f"NDArrayIter needs at least one sample, '{arrays[0][0]}' has none")
    return next(iter(lengths.values()))
