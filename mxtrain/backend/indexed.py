"""Kernels that write where numbers say: named, so that other backends know what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array


def add_rows(
    index: Array, head: Array, grad: Array, start: Array, place: Array, places: Array
) -> None:
    """Compute ``grad[a, index[i], b] += head[a, i, b]``, for each element in the order of i.

    Parameters
    ----------
    index : int64, (n,), each within the middle axis of `grad`.
    head : (lead, n, tail). grad : (lead, length, tail).
    start : int64, (lead, 1, tail): where the elements of the first row lie in the flat `grad`.
    place, places : int64, of the shapes of `index` and `head`; they hold anything afterwards.
    """
    import numpy as np

    np.multiply(index, grad.shape[2], place)
    np.add(start, place.reshape(1, -1, 1), places)
    # One flat index per number: NumPy adds these several times faster than whole rows.
    np.add.at(grad.reshape(-1), places.reshape(-1), head.reshape(-1))


def put_distinct(target: Array, index: Array, values: Array) -> None:
    """Compute ``target[index] = values`` of vectors; `index`, int64, names no element twice."""
    import numpy as np

    np.put(target, index, values)
