"""Memory of a plan: buffers that it keeps, and buffers that are used again and again."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, NumpyBackend

# Views start on cache-line boundaries, so that no two buffers share a line.
ALIGNMENT = 64


class Pool:
    """Bytes that are handed out, given back, and handed out again.

    Attributes
    ----------
    nbytes : all bytes made so far; none is ever freed, since lines hold on to their arrays.
    """

    def __init__(self, backend: NumpyBackend) -> None:
        self._backend = backend
        self._free: list[Array] = []
        self.nbytes = 0

    def take(self, needed: int) -> Array:
        """Return `needed` bytes or more: of the free buffers the smallest that will do."""
        fitting = [place for place, raw in enumerate(self._free) if raw.size >= needed]
        if fitting:
            return self._free.pop(min(fitting, key=lambda place: self._free[place].size))
        self.nbytes += needed
        return self._backend.zeros((needed,), np.uint8)

    def give_back(self, raw: Array) -> None:
        """Let others have a buffer that was taken."""
        self._free.append(raw)


class PlanMemory:
    """Hands out the buffers of a plan while it is being built.

    A `scratch` buffer keeps its contents from a node's forward to its backward; where nothing is
    `kept` for a backward pass it is as short-lived as those of `temp`, which other nodes use as
    well (`next_node`), since nodes run one after the other.
    """

    def __init__(self, backend: NumpyBackend, kept: bool = True) -> None:
        self._backend, self._kept = backend, kept
        self._scratch: dict[tuple[str, str, tuple[int, ...], np.dtype[Any]], Array] = {}
        self._pool = Pool(backend)
        self._taken: list[Array] = []
        self._own_bytes = 0

    def array(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a buffer of zeros that nothing else uses."""
        made = self._backend.zeros(shape, dtype)
        self._own_bytes += made.nbytes
        return made

    def scratch(self, node: str, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return the buffer `name` of a node: the same one each time it is asked for."""
        key = (node, name, shape, np.dtype(dtype))
        if key not in self._scratch:
            self._scratch[key] = (self.array if self._kept else self.temp)(shape, dtype)
        return self._scratch[key]

    def temp(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a buffer whose contents last until the node's lines are through."""
        self._taken.append(self._pool.take(bytes_of(shape, dtype)))
        return cut(self._taken[-1], shape, dtype)

    def next_node(self) -> None:
        """Let the next node use the shared buffers again."""
        for raw in self._taken:
            self._pool.give_back(raw)
        self._taken.clear()
        if not self._kept:
            self._scratch.clear()

    def nbytes(self) -> int:
        """Return the bytes of all buffers made so far."""
        return self._own_bytes + self._pool.nbytes


def bytes_of(shape: tuple[int, ...], dtype: Any) -> int:
    """Return the bytes of an array, at least 1.

    >>> bytes_of((2, 3), "float32")
    24
    """
    return max(int(prod(shape)) * int(np.dtype(dtype).itemsize), 1)


def cut(raw: Array, shape: tuple[int, ...], dtype: Any) -> Array:
    """Return an array over the first bytes of a buffer."""
    count = int(prod(shape)) * int(np.dtype(dtype).itemsize)
    array: Array = raw[:count].view(dtype).reshape(shape)
    return array
