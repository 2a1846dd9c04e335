"""Flat buffers that begin as a copy of the weight: masters, and what optimizers compare it with.

They begin in the first update after they were made, not before: weights may be loaded in between.
Until then they hold NaN, in files of states too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array


class Copies:
    """Buffers that have yet to begin.

    Parameters
    ----------
    pairs : each buffer with the array it copies, of the same length, in the order they begin.
    parts : the parameters' parts of them.
    """

    def __init__(self, pairs: Sequence[tuple[Array, Array]], parts: Sequence[slice]) -> None:
        self._pairs, self._parts = pairs, parts
        for part in parts:
            self.restart(part)
        self.look_again()

    def restart(self, part: slice) -> None:
        """Let a part begin once more, in the next update."""
        for copy, _ in self._pairs:
            copy[part] = np.nan
        self.look_again()

    def look_again(self) -> None:
        """Take note that others have written to the buffers, which may have begun or not."""
        self._may_wait = bool(self._pairs)

    def begin(self) -> None:
        """Copy what has yet to begin."""
        if not self._may_wait:
            return
        for copy, source in self._pairs:
            for part in self._parts:
                # All of it: a weight that training has spoiled may begin with NaN as well.
                if np.isnan(copy[part]).all():
                    np.copyto(copy[part], source[part])
        self._may_wait = False
