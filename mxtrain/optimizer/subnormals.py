"""Averages that decay for long: subnormal numbers become zero before they slow the updates.

Where gradients stay zero (a unit that never fires again) a moment is multiplied by its decay rate
step by step until it is subnormal, and there it stays: rounding keeps the smallest number what it
is. Arithmetic on such numbers takes a processor up to a hundred times as long. They are far below
anything that could move a weight, so from time to time they are set to zero, by the count of
updates: in a run that was resumed, in the same update. A GPU is not slowed by them, so there they
are left.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array

# Updates between two looks. A look costs about as much as an update does.
EVERY = 256
_BLOCK = 32768  # elements that stay within the second-level cache


def are_due(updates: int) -> bool:
    """Whether states are to be looked at after so many updates."""
    return updates % EVERY == 0


def until_due(updates: int) -> int:
    """Return how many further updates there are until the next look.

    >>> until_due(0), until_due(255), until_due(256)
    (256, 1, 256)
    """
    return EVERY - updates % EVERY


class Sweeper:
    """Sets the subnormal numbers of flat arrays to zero.

    Parameters
    ----------
    arrays : floating-point arrays of one dtype.
    """

    def __init__(self, arrays: Iterable[Array]) -> None:
        self._blocks = [
            array[start : start + _BLOCK]
            for array in arrays
            for start in range(0, array.size, _BLOCK)
        ]
        size = max((block.size for block in self._blocks), default=0)
        dtype: Any = self._blocks[0].dtype if self._blocks else np.float32
        self._least = np.finfo(dtype).smallest_normal
        self._sizes = np.empty(size, dtype)
        self._are_small, self._are_zero = np.empty(size, np.bool_), np.empty(size, np.bool_)
        self.nbytes = self._sizes.nbytes + 2 * size

    def sweep(self) -> None:
        """Set them; zeros keep their sign, and what is not a number stays so."""
        for block in self._blocks:
            count = block.size
            sizes, small, zero = (
                buffer[:count] for buffer in (self._sizes, self._are_small, self._are_zero)
            )
            np.absolute(block, sizes)
            np.less(sizes, self._least, small)
            np.equal(block, 0, zero)
            np.greater(small, zero, small)
            np.copyto(block, 0, where=small)
