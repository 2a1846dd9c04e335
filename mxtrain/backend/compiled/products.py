"""Matrix products from within compiled functions: the BLAS that NumPy brings, called by address."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

ROW_MAJOR, PLAIN, TRANSPOSED = 101, 111, 112
# cblas_?gemm with 64-bit sizes, as NumPy's own builds of OpenBLAS call it.
_SYMBOL = "scipy_cblas_{}gemm64_"


@cache
def addresses() -> tuple[int, int] | None:
    """Return the addresses of the single and the double precision product.

    None where NumPy uses a BLAS of another make; then products stay NumPy's to compute.
    """
    folder = Path(np.__file__).parent
    beside = folder.parent.glob("numpy.libs/*openblas64*")
    for path in [*beside, *folder.glob(".dylibs/*openblas64*")]:
        try:
            library = ctypes.CDLL(str(path))
            single, double = (getattr(library, _SYMBOL.format(letter)) for letter in "sd")
        except (OSError, AttributeError):
            continue
        return _address(single), _address(double)
    return None


def _address(function: Any) -> int:
    return ctypes.cast(function, ctypes.c_void_p).value or 0


def _make_product(number: Any, kind: Any) -> Any:
    enum, word = ir.IntType(32), ir.IntType(64)
    arguments = [enum, enum, enum, word, word, word, number, word, word, word, word, number]
    function_type = ir.FunctionType(ir.VoidType(), [*arguments, word, word])

    @intrinsic(prefer_literal=True)
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
        flags = (left_transposed.literal_value, right_transposed.literal_value)

        def generate(target_context: Any, builder: Any, signature: Any, values: Any) -> Any:
            call = builder.inttoptr(values[0], function_type.as_pointer())
            sides = [ir.Constant(enum, TRANSPOSED if flag else PLAIN) for flag in flags]
            one, zero = ir.Constant(number, 1.0), ir.Constant(number, 0.0)
            m, n, k, a, lda, b, ldb, c, ldc = values[3:]
            order = ir.Constant(enum, ROW_MAJOR)
            builder.call(call, [order, *sides, m, n, k, one, a, lda, b, ldb, zero, c, ldc])
            return target_context.get_dummy_value()

        whole = (types.int64,) * 9
        return types.void(types.int64, left_transposed, right_transposed, *whole), generate

    return multiply


multiply_float32 = _make_product(ir.FloatType(), types.float32)
multiply_float64 = _make_product(ir.DoubleType(), types.float64)
