"""CSR matrices: the entries of a matrix that are not zero, row after row, and their columns."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from mxtrain.context import Context
from mxtrain.errors import MXNetError
from mxtrain.nd import NDArray, view
from mxtrain.sparse.base import Array, BaseSparseNDArray, typed


class CSRNDArray(BaseSparseNDArray):
    """A matrix of which only some entries are stored; the others are zero.

    Row ``i`` owns the entries ``indptr[i]`` to ``indptr[i + 1] - 1``.

    Attributes
    ----------
    data : the stored entries, `(k,)`.
    indptr : where each row begins, and the end of the last, `(rows + 1,)` int64.
    indices : the columns of the entries, `(k,)` int64, none of them twice in a row.
    shape : `(rows, columns)` of the whole matrix.

    Raises MXNetError when these do not fit together.
    """

    stype: ClassVar[str] = "csr"

    def __init__(self, data: Any, indices: Any, indptr: Any, shape: tuple[int, ...]) -> None:
        self.data: NDArray = view(np.asarray(data))
        self.indices: NDArray = view(np.asarray(indices, np.int64))
        self.indptr: NDArray = view(np.asarray(indptr, np.int64))
        self.shape = tuple(shape)
        self._check_shapes()
        self._check_indptr()
        self._check_indices()

    def _check_shapes(self) -> None:
        if len(self.shape) != 2:
            raise MXNetError(f"a csr array has two axes, shape {self.shape} was given")
        entries = self.data.shape
        if len(entries) != 1 or self.indices.shape != entries:
            raise MXNetError(
                f"a csr matrix stores its entries and one column for each; arrays of shape "
                f"{entries} and {self.indices.shape} were given"
            )
        if self.indptr.shape != (self.shape[0] + 1,):
            raise MXNetError(
                f"indptr of a csr matrix of {self.shape[0]} rows has one number more than rows, "
                f"its shape is {self.indptr.shape}"
            )

    def _check_indptr(self) -> None:
        ends = self.indptr
        if ends[0] != 0 or ends[-1] != len(self.data) or np.any(ends[1:] < ends[:-1]):
            raise MXNetError(
                f"indptr of a csr matrix begins with 0, never descends and ends with the number "
                f"of entries, {len(self.data)}; this one is {_shortened(ends)}"
            )

    def _check_indices(self) -> None:
        columns = np.asarray(self.indices)
        if len(columns) and (columns.min() < 0 or columns.max() >= self.shape[1]):
            raise MXNetError(
                f"columns of a csr matrix are within 0 and {self.shape[1] - 1}, "
                f"these are {int(columns.min())} to {int(columns.max())}"
            )
        if not _ascending_in_rows(columns, self.indptr):
            order, twice = _by_place(self._rows(), columns)
            if np.any(twice):
                at = order[int(np.argmax(twice))]
                raise MXNetError(
                    f"a csr matrix stores each entry once; column {int(columns[at])} of row "
                    f"{int(self._rows()[at])} comes twice"
                )

    def _rows(self) -> Array:
        """Return the row of every entry."""
        return np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))

    def todense(self) -> NDArray:
        """Return an ordinary matrix with zeros where nothing is stored."""
        dense = np.zeros(self.shape, self.dtype)
        dense[self._rows(), np.asarray(self.indices)] = self.data
        return view(dense)

    def astype(self, dtype: Any) -> CSRNDArray:
        """Return the matrix with another element type."""
        return CSRNDArray(self.data.astype(dtype), self.indices, self.indptr, self.shape)

    def copy(self) -> CSRNDArray:
        """Return a copy."""
        return CSRNDArray(self.data.copy(), self.indices.copy(), self.indptr.copy(), self.shape)

    def __repr__(self) -> str:
        return f"<CSRNDArray {len(self.data)} entries, shape {self.shape}>"


def _ascending_in_rows(columns: Array, indptr: Array) -> bool:
    """Whether the columns of every row are strictly ascending, as they nearly always are."""
    rises = columns[1:] > columns[:-1]
    starts = indptr[1:-1]
    # Where a row begins, its first column may be anything.
    rises[starts[(starts > 0) & (starts < len(columns))] - 1] = True
    return bool(rises.all())


def _by_place(rows: Array, columns: Array) -> tuple[Array, Array]:
    """Return the order of entries by row and column, and which have the place of the one before."""
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    same = np.zeros(len(rows), bool)
    same[1:] = (rows[1:] == rows[:-1]) & (columns[1:] == columns[:-1])
    return order, same


def _shortened(numbers: Array) -> str:
    shown = str(numbers[:10].tolist())
    return shown if len(numbers) <= 10 else f"{shown[:-1]}, ..., {int(numbers[-1])}]"


def csr_matrix(
    arg1: Any, shape: tuple[int, ...] | None = None, ctx: Context | None = None, dtype: Any = None
) -> CSRNDArray:
    """Make a CSR matrix from ``(data, indices, indptr)``, a dense matrix, or just a shape.

    ``(data, (row, column))`` gives entries by their places; those of one place are added up.
    A sparse matrix of SciPy is taken as it is. Element type float32 unless `dtype` says otherwise
    or the source is an array of this package or SciPy's.
    Raises MXNetError when the parts do not fit together.

    >>> csr_matrix(([5, 6], [2, 0], [0, 1, 1, 2]), shape=(3, 3)).asnumpy().tolist()
    [[0.0, 0.0, 5.0], [0.0, 0.0, 0.0], [6.0, 0.0, 0.0]]
    """
    if isinstance(arg1, CSRNDArray):
        return arg1.astype(dtype or arg1.dtype)
    if hasattr(arg1, "tocsr"):
        found = arg1.tocsr()
        data = np.array(found.data, dtype)
        return CSRNDArray(data, found.indices, found.indptr, shape or found.shape)
    if isinstance(arg1, tuple) and len(arg1) == 3:
        columns, indptr = (np.asarray(part, np.int64).reshape(-1) for part in arg1[1:])
        width = int(columns.max()) + 1 if len(columns) else 0
        return CSRNDArray(typed(arg1[0], dtype), columns, indptr, shape or (len(indptr) - 1, width))
    if isinstance(arg1, tuple) and len(arg1) == 2:
        if isinstance(arg1[1], tuple):
            return _from_places(typed(arg1[0], dtype), arg1[1], shape)
        nothing = np.zeros(0, dtype or np.float32)
        return CSRNDArray(nothing, [], np.zeros(arg1[0] + 1, np.int64), arg1)
    return _from_dense(typed(arg1, dtype))


def _from_places(data: Array, places: tuple[Any, Any], shape: tuple[int, ...] | None) -> CSRNDArray:
    rows, columns = (np.asarray(part, np.int64).reshape(-1) for part in places)
    if not len(data) == len(rows) == len(columns):
        raise MXNetError(
            f"each entry has a row and a column; {len(data)} entries, {len(rows)} rows and "
            f"{len(columns)} columns were given"
        )
    if shape is None:
        shape = tuple(int(part.max()) + 1 if len(part) else 0 for part in (rows, columns))
    if len(rows) and (rows.min() < 0 or rows.max() >= shape[0]):
        raise MXNetError(
            f"rows of a csr matrix are within 0 and {shape[0] - 1}, "
            f"these are {int(rows.min())} to {int(rows.max())}"
        )
    order, twice = _by_place(rows, columns)
    starts = np.flatnonzero(~twice)
    first = order[starts]
    sums = np.add.reduceat(data[order], starts) if len(data) else data
    return CSRNDArray(sums, columns[first], _indptr(rows[first], shape[0]), shape)


def _from_dense(dense: Array) -> CSRNDArray:
    if dense.ndim != 2:
        raise MXNetError(f"a csr array has two axes, a source of shape {dense.shape} was given")
    rows, columns = np.nonzero(dense)
    return CSRNDArray(dense[rows, columns], columns, _indptr(rows, len(dense)), dense.shape)


def _indptr(rows: Array, count: int) -> Array:
    return np.concatenate(([0], np.cumsum(np.bincount(rows, minlength=count)))).astype(np.int64)
