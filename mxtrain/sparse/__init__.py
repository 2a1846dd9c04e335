"""Sparse arrays under MXNet's names: `row_sparse_array`, `csr_matrix`, `array`, `zeros`.

MXNet scripts know this module as ``mx.nd.sparse``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mxtrain.context import Context
from mxtrain.errors import MXNetError
from mxtrain.nd import view
from mxtrain.sparse.base import BaseSparseNDArray
from mxtrain.sparse.csr import CSRNDArray, csr_matrix
from mxtrain.sparse.row_sparse import (
    RowSparseNDArray,
    clear_rows,
    dense_rows,
    row_sparse_array,
    sum_rows,
)

__all__ = [
    "BaseSparseNDArray",
    "CSRNDArray",
    "RowSparseNDArray",
    "array",
    "cast_storage",
    "clear_rows",
    "csr_matrix",
    "dense_rows",
    "empty",
    "row_sparse_array",
    "sum_rows",
    "zeros",
]

_STYPES = "storage type is default, row_sparse or csr"


def zeros(stype: str, shape: tuple[int, ...], ctx: Context | None = None, dtype: Any = None) -> Any:
    """Make an array of zeros of a storage type; a sparse one stores nothing."""
    dtype = dtype or np.float32
    if stype == "default":
        return view(np.zeros(shape, dtype))
    if stype == "row_sparse":
        return row_sparse_array(tuple(shape), dtype=dtype)
    if stype == "csr":
        return csr_matrix(tuple(shape), dtype=dtype)
    raise MXNetError(f"{_STYPES}, got '{stype}'")


empty = zeros


def array(source_array: Any, ctx: Context | None = None, dtype: Any = None) -> Any:
    """Copy a sparse array, with another element type if `dtype` is given.

    Raises ValueError for other arrays, which `mxtrain.nd.array` copies.
    """
    if not isinstance(source_array, BaseSparseNDArray):
        raise ValueError(
            f"nd.sparse.array takes a sparse array, got {type(source_array).__name__}; use "
            "nd.array for a dense copy, csr_matrix or row_sparse_array for a sparse one"
        )
    return source_array.copy() if dtype is None else source_array.astype(dtype)


def cast_storage(source: Any, stype: str) -> Any:
    """Return an array in the storage type ``default``, ``row_sparse`` or ``csr``.

    Raises MXNetError for another one, and between the two sparse ones.

    >>> import mxtrain as mx
    >>> cast_storage(mx.nd.array([[0, 0], [0, 7]]), "csr").indices.tolist()
    [1]
    """
    if isinstance(source, BaseSparseNDArray):
        return source.tostype(stype)
    makers: dict[str, Callable[[Any], Any]] = {
        "default": view,
        "row_sparse": row_sparse_array,
        "csr": csr_matrix,
    }
    if stype not in makers:
        raise MXNetError(f"{_STYPES}, got '{stype}'")
    return makers[stype](view(np.asarray(source)))
