"""Matrix products from within compiled functions: the BLAS that NumPy brings, called by address."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

# Multiplications of a product that are worth another thread.
SHARED = 1_000_000
# The kinds of products: numbers of the functions in tables of addresses that begin with another.
SINGLE, DOUBLE = 1, 2
ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
# 64-bit sizes, as NumPy's own builds of OpenBLAS take them.
_PRODUCT = "scipy_cblas_{}gemm64_"
_GET_THREADS, _SET_THREADS = (f"scipy_openblas_{verb}_num_threads64_" for verb in ("get", "set"))


class Addresses(NamedTuple):
    """Functions of the BLAS: products in single and double precision, its number of threads."""

    single: int
    double: int
    get_threads: int
    set_threads: int


@cache
def addresses() -> Addresses | None:
    """Return where the functions are.

    None where NumPy uses a BLAS of another make; then products stay NumPy's to compute.
    """
    folder = Path(np.__file__).parent
    beside = folder.parent.glob("numpy.libs/*openblas64*")
    names = [_PRODUCT.format("s"), _PRODUCT.format("d"), _GET_THREADS, _SET_THREADS]
    for path in [*beside, *folder.glob(".dylibs/*openblas64*")]:
        try:
            library = ctypes.CDLL(str(path))
            functions = [getattr(library, name) for name in names]
        except (OSError, AttributeError):
            continue
        return Addresses(*map(_address, functions))
    return None


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _make_product(number: Any) -> Any:
    enum, word = ir.IntType(32), ir.IntType(64)
    arguments = [enum, enum, enum, word, word, word, number, word, word, word, word, number]
    function_type = ir.FunctionType(ir.VoidType(), [*arguments, word, word])

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        call = builder.inttoptr(values[0], function_type.as_pointer())
        plain, transposed = ir.Constant(enum, PLAIN), ir.Constant(enum, TRANSPOSED)
        zero_word = ir.Constant(word, 0)
        sides = [
            builder.select(builder.icmp_signed("!=", flag, zero_word), transposed, plain)
            for flag in values[1:3]
        ]
        one, zero = ir.Constant(number, 1.0), ir.Constant(number, 0.0)
        m, n, k, a, lda, b, ldb, c, ldc = values[3:]
        order = ir.Constant(enum, ROW_MAJOR)
        builder.call(call, [order, *sides, m, n, k, one, a, lda, b, ldb, zero, c, ldc])
        return target.get_dummy_value()

    @intrinsic
    def multiply(
        context: Any,
        function: Any,
        left_transposed: Any,
        right_transposed: Any,
        rows: Any,
        columns: Any,
        inner: Any,
        left: Any,
        left_stride: Any,
        right: Any,
        right_stride: Any,
        target: Any,
        target_stride: Any,
    ) -> Any:
        return types.void(*[types.int64] * 12), generate

    return multiply


def _get(context: Any, function: Any) -> Any:
    kind = ir.FunctionType(ir.IntType(32), [])

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        found = builder.call(builder.inttoptr(values[0], kind.as_pointer()), [])
        return builder.sext(found, ir.IntType(64))

    return types.int64(types.int64), generate


def _set(context: Any, function: Any, count: Any) -> Any:
    kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])

    def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
        count = builder.trunc(values[1], ir.IntType(32))
        builder.call(builder.inttoptr(values[0], kind.as_pointer()), [count])
        return target.get_dummy_value()

    return types.void(types.int64, types.int64), generate


# The product of two matrices, by the address of a function of the BLAS; flags and sizes are words.
multiply_float32, multiply_float64 = _make_product(ir.FloatType()), _make_product(ir.DoubleType())
# Ask for, and set, the number of threads of the BLAS.
blas_threads: Any = intrinsic(_get)
set_blas_threads: Any = intrinsic(_set)
