"""What every data iterator hands out: `DataDesc`, `DataBatch` and the base class `DataIter`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Self

import numpy as np

from mxtrain.errors import CallError
from mxtrain.nd import NDArray

__all__ = ["DataBatch", "DataDesc", "DataIter"]


class _NameAndShape(NamedTuple):
    name: str
    shape: tuple[int, ...]


class DataDesc(_NameAndShape):
    """Name and shape of one input: a pair, with its element type and layout as attributes.

    Parameters
    ----------
    name : the variable it feeds.
    shape : shape of a whole batch.
    dtype : element type.
    layout : the meaning of the axes, one letter each; N is the batch. None means N comes first.

    >>> DataDesc("data", (2, 3))
    DataDesc[data,(2, 3),<class 'numpy.float32'>,NCHW]
    """

    dtype: Any
    layout: str | None

    def __new__(
        cls, name: str, shape: Iterable[int], dtype: Any = np.float32, layout: str | None = "NCHW"
    ) -> Self:
        """Make the pair; the other two are attributes, as a pair has just two members."""
        self = super().__new__(cls, name, tuple(shape))
        self.dtype = dtype
        self.layout = layout
        return self

    def __repr__(self) -> str:
        return f"DataDesc[{self.name},{self.shape},{self.dtype},{self.layout}]"

    @staticmethod
    def get_batch_axis(layout: str | None) -> int:
        """Return the axis of the batch in `layout`: 0 for None, -1 when it has no N.

        >>> DataDesc.get_batch_axis("TNC")
        1
        """
        return 0 if layout is None else layout.find("N")

    @staticmethod
    def get_list(
        shapes: Iterable[tuple[str, Sequence[int]]],
        types: Iterable[tuple[str, Any]] | None = None,
    ) -> list[DataDesc]:
        """Make descriptions from (name, shape) pairs and, if given, (name, type) pairs."""
        by_name = dict(types or ())
        return [DataDesc(name, shape, by_name.get(name, np.float32)) for name, shape in shapes]


class DataBatch:
    """One batch: lists of input and label arrays.

    Parameters
    ----------
    data, label : arrays in the order of the iterator's `provide_data` and `provide_label`.
    pad : number of samples at the end that only fill the batch up.
    index : numbers of the samples, where the iterator keeps them.
    bucket_key : which of several networks the batch is meant for.
    provide_data, provide_label : descriptions, when they differ from the iterator's.
    """

    def __init__(
        self,
        data: Sequence[Any],
        label: Sequence[Any] | None = None,
        pad: int | None = None,
        index: Any = None,
        bucket_key: Any = None,
        provide_data: Sequence[Any] | None = None,
        provide_label: Sequence[Any] | None = None,
    ) -> None:
        for what, arrays in (("data", data), ("label", label)):
            if arrays is not None and not isinstance(arrays, list | tuple):
                raise CallError(
                    f"the {what} of a batch must be a list of arrays, got "
                    f"{type(arrays).__name__}; a single array goes into a list of one"
                )
        self.data = data
        self.label = label
        self.pad = pad
        self.index = index
        self.bucket_key = bucket_key
        self.provide_data = provide_data
        self.provide_label = provide_label

    def __str__(self) -> str:
        data = [array.shape for array in self.data]
        label = None if self.label is None else [array.shape for array in self.label]
        return f"{type(self).__name__}: data shapes: {data} label shapes: {label}"


class DataIter:
    """Base class of data iterators.

    A subclass gives `provide_data` and `provide_label`, and either `next`, or `iter_next` with
    `getdata`, `getlabel`, `getpad` and `getindex`.
    """

    def __init__(self, batch_size: int = 0) -> None:
        self.batch_size = batch_size

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> DataBatch:
        return self.next()

    def reset(self) -> None:
        """Go back to the beginning; this begins the next epoch."""

    def next(self) -> DataBatch:
        """Return the next batch; StopIteration at the end of the epoch."""
        if not self.iter_next():
            raise StopIteration
        return DataBatch(self.getdata(), self.getlabel(), self.getpad(), self.getindex())

    def iter_next(self) -> bool:
        """Move to the next batch and say whether there is one."""
        raise self._missing("iter_next")

    def getdata(self) -> list[NDArray]:
        """Return the input arrays of the current batch."""
        raise self._missing("getdata")

    def getlabel(self) -> list[NDArray]:
        """Return the label arrays of the current batch."""
        raise self._missing("getlabel")

    def getpad(self) -> int | None:
        """Return the number of samples that only fill the current batch up."""
        raise self._missing("getpad")

    def getindex(self) -> Any:
        """Return the sample numbers of the current batch, or None where they are not kept."""
        return None

    def _missing(self, method: str) -> NotImplementedError:
        return NotImplementedError(
            f"{type(self).__name__} has no {method}(); a DataIter defines next(), or iter_next() "
            "with getdata(), getlabel() and getpad()"
        )
