"""`PrefetchingIter`: reads ahead in a background thread."""

from __future__ import annotations

import queue
import threading
import weakref
from collections.abc import Mapping, Sequence
from typing import Any, Self

from mxtrain.errors import MXNetError
from mxtrain.io.base import DataBatch, DataDesc, DataIter
from mxtrain.nd import NDArray

__all__ = ["PrefetchingIter"]

Names = Sequence[Mapping[str, str]] | None
_Item = tuple[DataBatch | None, BaseException | None]


class PrefetchingIter(DataIter):
    """Takes batches from one or more iterators in a background thread.

    Several iterators are read side by side; a batch holds the arrays of all of them. They must
    give the same number of batches with the same pad, and must not write into batches they have
    handed out.

    Parameters
    ----------
    iters : an iterator, or a list of iterators.
    rename_data, rename_label : for each iterator a dict from its names to the names to show.
    capacity : batches that may wait, at most.

    The thread starts with the first batch of an epoch and ends with the epoch, at `reset` or at
    `close` (also called by ``with`` and when the object is dropped). An exception raised while
    reading ahead is raised by `next`.
    """

    def __init__(
        self,
        iters: Any,
        rename_data: Names = None,
        rename_label: Names = None,
        *,
        capacity: int = 2,
    ) -> None:
        self.iters: list[Any] = list(iters) if isinstance(iters, list | tuple) else [iters]
        if not self.iters:
            raise ValueError("PrefetchingIter needs at least one iterator, got an empty list")
        if capacity < 1:
            raise ValueError(f"PrefetchingIter needs a capacity of at least 1, got {capacity}")
        for what, names in (("rename_data", rename_data), ("rename_label", rename_label)):
            if names is not None and len(names) != len(self.iters):
                raise ValueError(
                    f"{what} needs one dict for each of the {len(self.iters)} iterators, "
                    f"got {len(names)}"
                )
        super().__init__(self.iters[0].batch_size)
        self.rename_data = rename_data
        self.rename_label = rename_label
        self.current_batch: DataBatch | None = None
        self._reader = _Reader(self.iters, capacity)
        # The thread knows the reader, not this object, so that dropping this object ends it.
        self._finalizer = weakref.finalize(self, self._reader.stop)

    @property
    def provide_data(self) -> list[DataDesc]:
        """Descriptions of the inputs of all iterators, renamed."""
        return _renamed([i.provide_data for i in self.iters], self.rename_data)

    @property
    def provide_label(self) -> list[DataDesc]:
        """Descriptions of the labels of all iterators, renamed."""
        return _renamed([i.provide_label for i in self.iters], self.rename_label)

    def reset(self) -> None:
        """Stop reading ahead, drop what was read and begin the next epoch."""
        self._reader.stop()
        for inner in self.iters:
            inner.reset()
        self._reader.rewind()
        self.current_batch = None

    def close(self) -> None:
        """Stop the thread and wait for it; afterwards only `reset` brings batches again."""
        self._reader.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def iter_next(self) -> bool:
        """Move to the next batch, waiting for it if need be; raises what the thread raised."""
        self.current_batch = self._reader.get()
        return self.current_batch is not None

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

    def _current(self) -> DataBatch:
        if self.current_batch is None:
            raise MXNetError("there is no current batch; call next() first")
        return self.current_batch


class _Reader:
    """The thread of one epoch at a time, and the queue between it and its user."""

    def __init__(self, iters: list[Any], capacity: int) -> None:
        self._iters = iters
        self._capacity = capacity
        self._thread: threading.Thread | None = None
        self.rewind()

    def rewind(self) -> None:
        """Allow a new epoch to start."""
        self._queue: queue.Queue[_Item] = queue.Queue(self._capacity)
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._ended = False

    def get(self) -> DataBatch | None:
        """Return the next batch, None at the end; raise what ended the thread, every time."""
        if not self._ended:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, name="mxtrain-prefetch", daemon=True
                )
                self._thread.start()
            batch, self._error = self._queue.get()
            if batch is not None:
                return batch
            self.stop()
        if self._error is not None:
            raise self._error
        return None

    def stop(self) -> None:
        """End the thread, whatever it is doing, and wait for it."""
        self._ended = True
        self._stopping.set()
        thread, self._thread = self._thread, None
        # The garbage collector may drop the iterator in the very thread that is to end.
        if thread is not None and thread is not threading.current_thread():
            self._make_room()
            thread.join()

    def _make_room(self) -> None:
        while not self._queue.empty():
            self._queue.get_nowait()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                item: _Item = (_merged(self._iters), None)
            except BaseException as error:  # carried over to the thread that asks for the batch
                item = (None, error)
            self._put(item)
            if item[0] is None:
                return

    def _put(self, item: _Item) -> None:
        """Wait for room, but not once the reader is told to stop."""
        while not self._stopping.is_set():
            try:
                return self._queue.put(item, timeout=0.1)
            except queue.Full:
                continue


def _merged(iters: list[Any]) -> DataBatch | None:
    """Take a batch of every iterator and join them; None when all have ended."""
    batches: list[DataBatch | None] = [next(inner, None) for inner in iters]
    if all(batch is None for batch in batches):
        return None
    present = [batch for batch in batches if batch is not None]
    if len(present) < len(batches):
        short = batches.index(None)
        raise MXNetError(
            f"PrefetchingIter: iterator {short} has ended before the others; "
            "all must give the same number of batches"
        )
    first = present[0]
    if len(present) == 1:
        return first
    pads = [batch.pad for batch in present]
    if len(set(pads)) > 1:
        raise MXNetError(f"PrefetchingIter: all batches must have the same pad, got {pads}")
    data = [array for batch in present for array in batch.data]
    label = [array for batch in present for array in batch.label or ()]
    return DataBatch(data, label, first.pad, first.index)


def _renamed(descriptions: list[list[Any]], names: Names) -> list[DataDesc]:
    """Join the descriptions of several iterators, with their new names."""
    found = []
    for i, group in enumerate(descriptions):
        new = names[i] if names is not None else {}
        for item in group:
            description = item if isinstance(item, DataDesc) else DataDesc(*item)
            name, shape = description
            found.append(
                DataDesc(new.get(name, name), shape, description.dtype, description.layout)
            )
    return found
