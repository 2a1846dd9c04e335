"""`Scaler`: the arithmetic of scaled features, from numbers of any type into a float buffer."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Elements that are computed together: their doubles stay in the second-level cache.
BLOCK = 1 << 15


class Scaler:
    """``(x - offset) * factor`` in double precision, rounded to float32.

    Parameters
    ----------
    offset, factor : for each number of a sample, in its shape (float64).

    Examples
    --------
    >>> scaler, out = Scaler(np.array([0.0, 10.0]), np.array([0.5, 0.1])), np.empty((1, 2), "f4")
    >>> scaler.apply(np.array([[3, 20]], np.uint8), out)
    >>> out.tolist()
    [[1.5, 1.0]]
    """

    def __init__(self, offset: Array, factor: Array) -> None:
        self.offset, self.factor = offset, factor
        block = (max(1, BLOCK // max(offset.size, 1)), *offset.shape)
        self._work = np.empty(block)
        # Repeated for each sample of a block: NumPy takes longer where it has to broadcast.
        self._offsets, self._factors = (np.broadcast_to(a, block).copy() for a in (offset, factor))

    @property
    def nbytes(self) -> int:
        """The bytes it needs itself."""
        arrays = (self.offset, self.factor, self._work, self._offsets, self._factors)
        return sum(array.nbytes for array in arrays)

    def apply(self, samples: Array, out: Array) -> None:
        """Write scaled samples into `out`. What is too large for float32 becomes infinite."""
        step = len(self._work)
        is_single = out.dtype == np.float32
        with np.errstate(over="ignore"):
            for start in range(0, len(samples), step):
                part = samples[start : start + step]
                count = len(part)
                work = self._work[:count]
                np.copyto(work, part, "unsafe")
                np.subtract(work, self._offsets[:count], work)
                np.multiply(work, self._factors[:count], work)
                rounded = work if is_single else work.astype(np.float32)
                np.copyto(out[start : start + step], rounded, "same_kind")

    def takes_bytes(self) -> bool:
        """Whether every byte stays finite as float32."""
        ends = np.empty((2, *self.offset.shape), np.float32)
        self.apply(np.array([0, 255]).reshape(2, *(1,) * self.offset.ndim), ends)
        return bool(np.isfinite(ends).all())
