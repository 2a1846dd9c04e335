"""`ResizeIter`: epochs of a chosen length over another iterator."""

from __future__ import annotations

from typing import Any

from mxtrain.errors import MXNetError
from mxtrain.io.base import DataBatch, DataDesc, DataIter
from mxtrain.nd import NDArray

__all__ = ["ResizeIter"]


class ResizeIter(DataIter):
    """Exactly `size` batches per epoch, starting the inner iterator again whenever it ends.

    Parameters
    ----------
    data_iter : the inner iterator.
    size : batches per epoch, at least 1.
    reset_internal : whether `reset` also resets the inner iterator. If not, an epoch goes on
        where the last one stopped.
    """

    def __init__(self, data_iter: Any, size: int, reset_internal: bool = True) -> None:
        super().__init__(data_iter.batch_size)
        if size < 1:
            raise ValueError(f"ResizeIter needs a size of at least 1 batch, got {size}")
        self.data_iter = data_iter
        self.size = size
        self.reset_internal = reset_internal
        self.cur = 0
        self.current_batch: DataBatch | None = None

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of the inner iterator's inputs."""
        return list(self.data_iter.provide_data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of the inner iterator's labels."""
        return list(self.data_iter.provide_label)

    def reset(self) -> None:
        """Begin the next epoch."""
        self.cur = 0
        if self.reset_internal:
            self.data_iter.reset()

    def iter_next(self) -> bool:
        """Move to the next batch; MXNetError if the inner iterator gives none even when reset."""
        if self.cur == self.size:
            return False
        self.current_batch = self._next_of_inner()
        self.cur += 1
        return True

    def getdata(self) -> list[NDArray]:
        """Return the input arrays of the current batch."""
        return list(self._current().data)

    def getlabel(self) -> list[NDArray]:
        """Return the label arrays of the current batch."""
        return list(self._current().label or ())

    def getpad(self) -> int | None:
        """Return the pad of the current batch."""
        return self._current().pad

    def getindex(self) -> Any:
        """Return the sample numbers of the current batch."""
        return self._current().index

    def _next_of_inner(self) -> DataBatch:
        batch: DataBatch | None = next(self.data_iter, None)
        if batch is None:
            self.data_iter.reset()
            batch = next(self.data_iter, None)
        if batch is None:
            raise MXNetError(
                f"ResizeIter: the {type(self.data_iter).__name__} inside gives no batch at all; "
                "use a smaller batch_size or last_batch_handle='pad'"
            )
        return batch

    def _current(self) -> DataBatch:
        if self.current_batch is None:
            raise MXNetError("there is no current batch; call next() first")
        return self.current_batch
