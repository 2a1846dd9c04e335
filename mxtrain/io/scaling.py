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
        self._work = np.empty((max(1, BLOCK // max(offset.size, 1)), *offset.shape))

    @property
    def nbytes(self) -> int:
        """The bytes it needs itself."""
        return self.offset.nbytes + self.factor.nbytes + self._work.nbytes

    def apply(self, samples: Array, out: Array) -> None:
        """Write scaled samples into `out`. What is too large for float32 becomes infinite."""
        step = len(self._work)
        is_single = out.dtype == np.float32
        with np.errstate(over="ignore"):
            for start in range(0, len(samples), step):
                part = samples[start : start + step]
                work = self._work[: len(part)]
                np.copyto(work, part, "unsafe")
                np.subtract(work, self.offset, work)
                np.multiply(work, self.factor, work)
                rounded = work if is_single else work.astype(np.float32)
                np.copyto(out[start : start + step], rounded, "same_kind")

    def takes_bytes(self) -> bool:
        """Whether every byte stays finite as float32."""
        ends = np.empty((2, *self.offset.shape), np.float32)
        self.apply(np.array([0, 255]).reshape(2, *(1,) * self.offset.ndim), ends)
        return bool(np.isfinite(ends).all())
