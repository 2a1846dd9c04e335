"""The arena: trainable parameters of a dtype in one buffer, their gradients in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.executor.memory import ALIGNMENT

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, NumpyBackend

# Parameters whose decay is on by default lie together, so that they form one segment.
_DECAYING = ("_weight", "_gamma")


@dataclass(frozen=True)
class Parameter:
    """A parameter to be placed: its number among all parameters, name, shape and dtype."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


@dataclass(frozen=True)
class Place:
    """Where one parameter lies in its group's flat buffers, in elements."""

    index: int
    name: str
    shape: tuple[int, ...]
    start: int
    stop: int

    def of(self, flat: Array) -> Array:
        """Return this parameter's part of a flat buffer, in its shape."""
        return flat[self.start : self.stop].reshape(self.shape)


@dataclass(frozen=True)
class Group:
    """All parameters of one dtype."""

    places: tuple[Place, ...]
    weight: Array
    grad: Array


class Arena:
    """Contiguous memory of parameters and gradients. Results never depend on its layout.

    Attributes
    ----------
    groups : one per dtype.
    weights, grads : views by parameter name; each starts on a 64-byte boundary.
    """

    def __init__(self, parameters: Sequence[Parameter], backend: NumpyBackend) -> None:
        self.groups: list[Group] = []
        self.weights: dict[str, Array] = {}
        self.grads: dict[str, Array] = {}
        for dtype in dict.fromkeys(parameter.dtype for parameter in parameters):
            members = [parameter for parameter in parameters if parameter.dtype == dtype]
            members.sort(key=lambda p: (not p.name.endswith(_DECAYING), p.index))
            self._add_group(members, dtype, backend)

    def _add_group(
        self, members: Sequence[Parameter], dtype: np.dtype[Any], backend: NumpyBackend
    ) -> None:
        step = ALIGNMENT // dtype.itemsize
        places, end = [], 0
        for parameter in members:
            size = int(np.prod(parameter.shape, dtype=np.int64))
            places.append(Place(parameter.index, parameter.name, parameter.shape, end, end + size))
            end += -(-size // step) * step
        group = Group(
            tuple(places),
            aligned_zeros(end, dtype, backend),
            aligned_zeros(end, dtype, backend),
        )
        self.groups.append(group)
        self.weights |= {place.name: place.of(group.weight) for place in places}
        self.grads |= {place.name: place.of(group.grad) for place in places}


def aligned_zeros(size: int, dtype: np.dtype[Any], backend: NumpyBackend) -> Array:
    """Return a flat buffer of zeros that starts on a 64-byte boundary."""
    raw = backend.zeros((size * dtype.itemsize + ALIGNMENT,), np.uint8)
    offset = -raw.ctypes.data % ALIGNMENT
    aligned: Array = raw[offset : offset + size * dtype.itemsize].view(dtype)
    return aligned
