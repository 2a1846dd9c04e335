"""Special functions that NumPy lacks."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

# Elements worked on at a time: enough to hide the cost of a call, few enough for the cache.
BLOCK = 8192

# Rational approximations of W. J. Cody, "Rational Chebyshev approximations for the error function",
# Mathematics of Computation 23 (1969), pages 631-637, highest power first.
# erf(x) = x P(x^2) / Q(x^2) for |x| <= 0.46875.
_SMALL = 0.46875
_P_SMALL = (
    1.85777706184603153e-1,
    3.16112374387056560e0,
    1.13864154151050156e2,
    3.77485237685302021e2,
    3.20937758913846947e3,
)
_Q_SMALL = (
    1.0,
    2.36012909523441209e1,
    2.44024637934444173e2,
    1.28261652607737228e3,
    2.84423683343917062e3,
)
# erfc(x) = exp(-x^2) P(x) / Q(x) for 0.46875 <= x <= 4.
_P_LARGE = (
    2.15311535474403846e-8,
    5.64188496988670089e-1,
    8.88314979438837594e0,
    6.61191906371416295e1,
    2.98635138197400131e2,
    8.81952221241769090e2,
    1.71204761263407058e3,
    2.05107837782607147e3,
    1.23033935479799725e3,
)
_Q_LARGE = (
    1.0,
    1.57449261107098347e1,
    1.17693950891312499e2,
    5.37181101862009858e2,
    1.62138957456669019e3,
    3.29079923573345963e3,
    4.36261909014324716e3,
    3.43936767414372164e3,
    1.23033935480374942e3,
)
# Beyond this erf is 1 in double precision. Up to here the second approximation still serves: it is
# off by less than erf's last digit, of which erfc is a tiny part.
_SATURATED = 6.0


def _constants(values: Sequence[float]) -> list[Array]:
    return [np.array(value) for value in values]


_SMALL_RATIO = (_constants(_P_SMALL), _constants(_Q_SMALL))
_LARGE_RATIO = (_constants(_P_LARGE), _constants(_Q_LARGE))


class _Registers(threading.local):
    """Working memory, one set per thread."""

    def __init__(self) -> None:
        self.floats = np.empty((5, BLOCK))
        self.is_small = np.empty(BLOCK, bool)


_registers = _Registers()


def erf(x: Array, out: Array) -> None:
    """Write the error function of `x` into `out`, of the same shape, to about 1e-15 relative.

    Any real element type; the computation is in double precision. Allocates no arrays where both
    are C-contiguous.

    >>> y = np.empty(3)
    >>> erf(np.array([0.0, 0.5, -np.inf]), y)
    >>> y.round(6).tolist()
    [0.0, 0.5205, -1.0]
    """
    if not out.flags.c_contiguous:
        whole = np.empty(out.shape)
        erf(x, whole)
        np.copyto(out, whole, casting="same_kind")
        return
    flat_x, flat_out = x.reshape(-1), out.reshape(-1)
    for start in range(0, flat_x.size, BLOCK):
        part = flat_x[start : start + BLOCK]
        _erf_of_block(part, flat_out[start : start + BLOCK], part.size)


def _erf_of_block(x: Array, out: Array, size: int) -> None:
    y, square, ratio, work, small = (register[:size] for register in _registers.floats)
    is_small = _registers.is_small[:size]
    np.copyto(y, x)
    np.absolute(y, y)
    np.less_equal(y, _SMALL, is_small)
    np.minimum(y, _SATURATED, out=y)
    np.multiply(y, y, square)
    _rational(square, _SMALL_RATIO, small, work)
    np.multiply(small, y, small)
    _rational(y, _LARGE_RATIO, ratio, work)
    np.negative(square, square)
    np.exp(square, square)
    np.multiply(ratio, square, ratio)
    np.subtract(1, ratio, ratio)
    np.copyto(ratio, small, where=is_small)
    np.copysign(ratio, x, ratio)
    np.copyto(out, ratio, casting="same_kind")


def _rational(
    x: Array, coefficients: tuple[list[Array], list[Array]], out: Array, work: Array
) -> None:
    """Write P(x) / Q(x), both by Horner's rule; Q starts with 1."""
    (p0, p1, *p), (_, q1, *q) = coefficients
    np.multiply(x, p0, out)
    np.add(out, p1, out)
    for term in p:
        np.multiply(out, x, out)
        np.add(out, term, out)
    np.add(x, q1, work)
    for term in q:
        np.multiply(work, x, work)
        np.add(work, term, work)
    np.divide(out, work, out)
