"""Special functions that NumPy lacks."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_erf = np.frompyfunc(math.erf, 1, 1)


def erf(x: np.ndarray[Any, Any], out: np.ndarray[Any, Any]) -> None:
    """Write the error function of `x` into `out`, exact to the last digit of a double.

    The standard library's function is called element by element (about 0.1 microseconds each):
    no vectorised one of double accuracy comes with NumPy.
    """
    out[...] = _erf(x)
