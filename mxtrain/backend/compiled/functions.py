"""Exponentials of float32 numbers in terms that have vector instructions.

The library's functions are called once per element; these are inlined into the loop. With
``x = n ln 2 + r``, ``|r| <= ln 2 / 2``, the power ``e^x`` is ``2^n e^r``, and the Taylor series of
``e^r`` to the seventh power is off by less than a twentieth of the last digit. Results are within
three units of the last digit; the tests hold them to it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, njit, types
from numba.extending import intrinsic

_INVERSE_LN2 = np.float32(1 / math.log(2))
# ln 2 in two parts; products of the first with whole numbers up to 2^9 are exact.
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(math.log(2) - 0.693359375)
# Beyond these e^x is infinite, or rounds to 0.
_LARGEST, _SMALLEST = np.float32(89), np.float32(-104.5)
_C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))


@njit(error_model="numpy")
def _reduced(x):  # type: ignore[no-untyped-def]
    """Return n, a whole number, and e^r - 1."""
    n = np.rint(x * _INVERSE_LN2)
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    tail = _C4 + r * (_C5 + r * (_C6 + r * _C7))
    return n, r + r * r * (_C2 + r * (_C3 + r * tail))


def _write_exponent(context: Any, n: Any) -> Any:
    """Return 2^n for a whole number n from -126 to 127, by writing it where exponents are kept."""
    word = ir.IntType(32)

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        biased = builder.add(builder.fptosi(arguments[0], word), ir.Constant(word, 127))
        return builder.bitcast(builder.shl(biased, ir.Constant(word, 23)), ir.FloatType())

    return types.float32(types.float32), generate


_power_of_two: Any = intrinsic(_write_exponent)


@njit(error_model="numpy")
def exp_float32(x):  # type: ignore[no-untyped-def]
    """Return e^x."""
    inside = x if x < _LARGEST else _LARGEST
    inside = inside if inside > _SMALLEST else _SMALLEST
    n, less_one = _reduced(inside)
    # In two steps, since 2^n itself may be too large or too small for a float32.
    half = np.floor(n * float32(0.5))
    power = (float32(1) + less_one) * _power_of_two(half) * _power_of_two(n - half)
    return power if x == x else x


@njit(error_model="numpy")
def expm1_float32(x):  # type: ignore[no-untyped-def]
    """Return e^x - 1, exact to the last digits near 0 too."""
    inside = x if x < _LARGEST else _LARGEST
    inside = inside if inside > float32(-25) else float32(-25)
    n, less_one = _reduced(inside)
    half = np.floor(n * float32(0.5))
    first, second = _power_of_two(half), _power_of_two(n - half)
    value = (first * less_one + (first - float32(1) / second)) * second
    value = less_one if n == float32(0) else value
    return value if abs(x) > float32(0) else x


@njit(error_model="numpy")
def tanh_float32(x):  # type: ignore[no-untyped-def]
    """Return the hyperbolic tangent, (e^2x - 1) / (e^2x + 1)."""
    size = abs(x)
    inside = size if size < float32(10) else float32(10)
    power = expm1_float32(float32(2) * inside)
    value = power / (power + float32(2))
    value = value if x > float32(0) else -value
    return value if size > float32(0) else x
