"""NumPy's uniform float32 numbers, drawn by compiled functions: Philox4x64-10 by its counter."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import float32, int64, njit, types, uint32, uint64
from numba.extending import intrinsic

from mxtrain.backend.compiled.pointers import store_float32

ROUNDS = 10
# The multipliers of a round, and what is added to the key between rounds (Salmon et al. 2011).
MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)
FLOATS = 8  # of a block: four words of 64 bits, the low half of each first
_M0, _M1, _W0, _W1 = (uint64(value) for value in (*MULTIPLIERS, *STEPS))
_UNIT = float32(1 / (1 << 24))


def _high(context: Any, one: Any, other: Any) -> Any:
    """Return the high half of the product of two words."""
    word, wide = ir.IntType(64), ir.IntType(128)

    def generate(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        a, b = (builder.zext(argument, wide) for argument in arguments)
        shift = ir.Constant(wide, 64)
        return builder.trunc(builder.lshr(builder.mul(a, b), shift), word)

    return types.uint64(types.uint64, types.uint64), generate


_multiply_high: Any = intrinsic(_high)


@njit(error_model="numpy")
def _block(number, step, k0, k1):  # type: ignore[no-untyped-def]
    """Return the four words of a block of a step."""
    a, b, c, d = number, uint64(0), step, uint64(0)
    for _ in range(ROUNDS):
        high0, low0 = _multiply_high(_M0, a), _M0 * a
        high1, low1 = _multiply_high(_M1, c), _M1 * c
        a, b, c, d = high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0
        k0, k1 = k0 + _W0, k1 + _W1
    return a, b, c, d


@njit(error_model="numpy")
def uniform_float32(key0, key1, step, target, count):  # type: ignore[no-untyped-def]
    """Fill memory at an address with so many numbers from [0, 1): the first ones of a step."""
    k0, k1, running = uint64(key0), uint64(key1), uint64(step)
    for number in range((count + FLOATS - 1) // FLOATS):
        # The counter is moved on before it is used.
        words = _block(uint64(number + 1), running, k0, k1)
        begin = number * FLOATS
        for place in range(min(FLOATS, count - begin)):
            word = words[place // 2]
            half = uint32(word >> uint64(32)) if place % 2 else uint32(word)
            value = float32(int64(half >> uint32(8))) * _UNIT
            store_float32(target, begin + place, value, 0, 1)
