"""Scratch memory of a plan: buffers that nodes keep, and buffers that nodes share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, NumpyBackend

# Views start on cache-line boundaries, so that no two buffers share a line.
ALIGNMENT = 64


class PlanMemory:
    """Hands out scratch buffers while a plan is being built.

    `scratch` buffers belong to a node and keep their contents; `temp` buffers are taken from a
    pool that starts again with every node (`next_node`), since nodes run one after the other.
    """

    def __init__(self, backend: NumpyBackend) -> None:
        self._backend = backend
        self._scratch: dict[tuple[str, str, tuple[int, ...], np.dtype[Any]], Array] = {}
        self._pool: list[Array] = []
        self._used = 0

    def scratch(self, node: str, name: str, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return the buffer `name` of a node: the same one each time it is asked for."""
        key = (node, name, shape, np.dtype(dtype))
        if key not in self._scratch:
            self._scratch[key] = self._backend.zeros(shape, dtype)
        return self._scratch[key]

    def temp(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """Return a buffer whose contents last until the node's lines are through."""
        dtype = np.dtype(dtype)
        count = int(np.prod(shape, dtype=np.int64))
        needed = max(count * dtype.itemsize, 1)
        if self._used == len(self._pool):
            self._pool.append(self._backend.empty((needed,), np.uint8))
        elif self._pool[self._used].size < needed:
            # Lines made earlier keep the smaller buffer alive; later ones get the larger.
            self._pool[self._used] = self._backend.empty((needed,), np.uint8)
        raw = self._pool[self._used]
        self._used += 1
        buffer: Array = raw[: count * dtype.itemsize].view(dtype).reshape(shape)
        return buffer

    def next_node(self) -> None:
        """Let the next node use the shared buffers again."""
        self._used = 0

    def nbytes(self) -> int:
        """Return the bytes of all scratch buffers."""
        return sum(a.nbytes for a in [*self._scratch.values(), *self._pool])
