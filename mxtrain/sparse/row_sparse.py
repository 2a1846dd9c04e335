"""Row-sparse arrays: the rows of a large array that are not zero, and their numbers.

Gradients of an embedding are of this kind: a batch touches a few rows of the table.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mxtrain.context import Context
from mxtrain.errors import MXNetError
from mxtrain.nd import NDArray, view
from mxtrain.sparse.base import BaseSparseNDArray, ascending, typed


class RowSparseNDArray(BaseSparseNDArray):
    """An array of shape `(rows, ...)` of which only some rows are stored; the others are zero.

    Attributes
    ----------
    data : the stored rows, `(k, ...)`.
    indices : their numbers, `(k,)` int64, strictly ascending.
    shape : of the whole array.

    Raises MXNetError when these do not fit together.
    """

    stype: ClassVar[str] = "row_sparse"

    def __init__(self, data: Any, indices: Any, shape: tuple[int, ...]) -> None:
        self.data: NDArray = view(np.asarray(data))
        self.indices: NDArray = view(np.asarray(indices, np.int64))
        self.shape = tuple(shape)
        self._check()

    def _check(self) -> None:
        if self.indices.ndim != 1 or self.data.shape != (len(self.indices), *self.shape[1:]):
            raise MXNetError(
                f"a row-sparse array of shape {self.shape} stores rows of shape {self.shape[1:]} "
                f"and one number for each; {self.data.shape} and {self.indices.shape} were given"
            )
        if not ascending(self.indices, self.shape[0]):
            raise MXNetError(
                f"row numbers are strictly ascending and within 0 and {self.shape[0] - 1}, "
                f"these are {self.indices[:10].tolist()}"
            )

    def assign(self, data: Any, indices: Any) -> None:
        """Take other rows, which are known to be ascending and of the right shape."""
        self.data, self.indices = view(data), view(indices)

    def todense(self) -> NDArray:
        """Return an ordinary array with zeros in the rows that are not stored."""
        dense = np.zeros(self.shape, self.dtype)
        dense[np.asarray(self.indices)] = self.data
        return view(dense)

    def astype(self, dtype: Any) -> RowSparseNDArray:
        """Return the array with another element type."""
        return RowSparseNDArray(self.data.astype(dtype), self.indices, self.shape)

    def copy(self) -> RowSparseNDArray:
        """Return a copy."""
        return RowSparseNDArray(self.data.copy(), self.indices.copy(), self.shape)

    def __repr__(self) -> str:
        return f"<RowSparseNDArray {len(self.indices)} of {self.shape[0]} rows, shape {self.shape}>"


def row_sparse_array(
    arg1: Any, shape: tuple[int, ...] | None = None, ctx: Context | None = None, dtype: Any = None
) -> RowSparseNDArray:
    """Make a row-sparse array from ``(data, indices)``, a dense array, or just a shape.

    Element type float32 unless `dtype` says otherwise or the source is an array of this package.
    Row numbers are sorted; one that comes twice is an MXNetError.

    >>> row_sparse_array(([[1, 2]], [3]), shape=(5, 2)).asnumpy()[3].tolist()
    [1.0, 2.0]
    """
    if isinstance(arg1, RowSparseNDArray):
        return arg1.astype(dtype or arg1.dtype)
    if isinstance(arg1, tuple) and all(isinstance(n, int) for n in arg1):
        return RowSparseNDArray(np.zeros((0, *arg1[1:]), dtype or np.float32), [], arg1)
    if isinstance(arg1, tuple) and len(arg1) == 2:
        rows = typed(arg1[0], dtype)
        numbers = np.asarray(arg1[1], np.int64).reshape(-1)
        if shape is None:
            last = int(numbers.max()) + 1 if numbers.size else 0
            shape = (last, *rows.shape[1:])
        rows = rows.reshape(len(numbers), *shape[1:])
        order = np.argsort(numbers, kind="stable")
        return RowSparseNDArray(rows[order], numbers[order], shape)
    dense = typed(arg1, dtype)
    if not dense.ndim:
        raise MXNetError("a row-sparse array has at least one axis; a single number was given")
    kept = np.flatnonzero(dense.any(axis=tuple(range(1, dense.ndim))))
    return RowSparseNDArray(dense[kept], kept, dense.shape)


def sum_rows(index: Any, rows: Any, target: RowSparseNDArray) -> None:
    """Let `target` hold the sums of those `rows` that have the same number in `index`.

    The number of distinct rows changes from batch to batch, so this allocates.
    """
    order = np.argsort(index, kind="stable")
    ascending = index[order]
    starts = np.flatnonzero(np.diff(ascending, prepend=ascending[:1] - 1))
    target.assign(np.add.reduceat(rows[order], starts, axis=0), ascending[starts])


def clear_rows(target: RowSparseNDArray) -> None:
    """Let `target` hold no rows."""
    target.assign(target.data[:0], target.indices[:0])


def dense_rows(array: Any) -> Any:
    """Return the ordinary array behind a weight: all rows of a row-sparse one must be there."""
    if not isinstance(array, RowSparseNDArray):
        return array
    if len(array.indices) != array.shape[0]:
        raise MXNetError(
            f"a row-sparse weight must have all its {array.shape[0]} rows, it has "
            f"{len(array.indices)}"
        )
    return array.data
