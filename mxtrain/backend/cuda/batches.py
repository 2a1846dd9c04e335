"""Products of as many pairs of matrices as a batch has, by one call of cuBLAS."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mxtrain.backend.cuda.pieces import address_of
from mxtrain.backend.numpy import Array

FLOATS = (np.dtype(np.float32), np.dtype(np.float64), np.dtype(np.float16))


class Matrices(NamedTuple):
    """Equally spaced matrices that are stored row by row, or as their transposed ones are.

    `leading` is the distance of rows (of columns, if transposed), `step` that of matrices.
    """

    transposed: bool
    leading: int
    step: int


@dataclass(frozen=True)
class Products:
    """``target[i] = left[i] @ right[i]`` of float arrays of three axes."""

    left: Array
    right: Array
    target: Array
    layouts: tuple[Matrices, Matrices, Matrices]

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of all three."""
        dtype: np.dtype[Any] = self.target.dtype
        return dtype

    @property
    def arrays(self) -> list[Array]:
        """What the device has to see."""
        return [self.left, self.right, self.target]


class Batch(NamedTuple):
    """The arguments of products in column order; matrices are (address, leading, step)."""

    transposed: tuple[int, int]
    sizes: tuple[int, int, int]
    a: tuple[int, int, int]
    b: tuple[int, int, int]
    c: tuple[int, int, int]
    pairs: int


def batch_of(piece: Products) -> Batch:
    """Return the arguments; as in `gemm_of` of one product, the factors change places."""
    left, right, target = piece.layouts
    count, rows, inner = piece.left.shape
    return Batch(
        (int(right.transposed), int(left.transposed)),
        (piece.target.shape[2], rows, inner),
        (address_of(piece.right), *right[1:]),
        (address_of(piece.left), *left[1:]),
        (address_of(piece.target), *target[1:]),
        count,
    )


def read_matmul(arguments: Sequence[Any]) -> Products | None:
    """Return what ``matmul(left, right, target)`` does, None where these are no equal batches."""
    if len(arguments) != 3 or not all(type(a) is np.ndarray for a in arguments):
        return None
    left, right, target = arguments
    if not left.dtype == right.dtype == target.dtype or target.dtype not in FLOATS:
        return None
    if min(left.ndim, right.ndim) < 2 or target.ndim < 2 or not (left.size and right.size):
        return None
    if any(np.may_share_memory(factor, target) for factor in (left, right)):
        return None
    batches = [_three_axes(array, target.shape[:-2]) for array in (left, right, target)]
    found = [(array, _layout(array)) for array in batches if array is not None]
    arrays = [array for array, layout in found if layout is not None]
    layouts = [layout for _, layout in found if layout is not None]
    if len(layouts) < 3 or layouts[2].transposed:
        return None
    return Products(arrays[0], arrays[1], arrays[2], (layouts[0], layouts[1], layouts[2]))


def _three_axes(array: Array, lead: tuple[int, ...]) -> Array | None:
    """Return matrices with one axis that numbers them; None where they are not evenly spaced."""
    spread = np.broadcast_to(array, (*lead, *array.shape[-2:]))
    length, step = 1, 0
    for axis in reversed(range(len(lead))):
        if lead[axis] == 1:
            continue
        if length > 1 and spread.strides[axis] != step * length:
            return None
        step = step if length > 1 else spread.strides[axis]
        length *= lead[axis]
    shape, strides = (length, *array.shape[-2:]), (step, *array.strides[-2:])
    return np.lib.stride_tricks.as_strided(array, shape, strides)


def _layout(array: Array) -> Matrices | None:
    step, row, column = (stride // array.itemsize for stride in array.strides)
    _, rows, columns = array.shape
    if step < 0:
        return None
    if (column == 1 or columns == 1) and (row >= columns or rows == 1):
        return Matrices(False, row if rows > 1 else columns, step)
    if (row == 1 or rows == 1) and (column >= rows or columns == 1):
        return Matrices(True, column if columns > 1 else rows, step)
    return None
