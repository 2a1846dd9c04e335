"""Matrix products of a CUDA device: what cuBLAS is asked for, computed by a stand-in."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from mxtrain.backend.compiled.lines import Product, read_line
from mxtrain.backend.cuda.blas import PLAIN, TRANSPOSED, WORKSPACE, Blas, gemm_of
from mxtrain.errors import MXNetError


def at(address: int, rows: int, columns: int, leading: int, dtype: Any) -> np.ndarray:
    """A matrix in column order, with so many elements from one column to the next."""
    count = leading * (columns - 1) + rows
    memory = (ctypes.c_uint8 * (count * np.dtype(dtype).itemsize)).from_address(address)
    flat = np.frombuffer(memory, dtype)
    return np.lib.stride_tricks.as_strided(
        flat, (rows, columns), (flat.itemsize, leading * flat.itemsize), writeable=True
    )


class Library:
    """Computes products as the BLAS defines them, and notes what else it is asked."""

    def __init__(self, fails: str = "") -> None:
        self.asked: list[tuple[str, Any]] = []
        self._fails = fails

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            plain = [getattr(argument, "value", argument) for argument in arguments]
            self.asked.append((name, plain[1:]))
            if name.endswith("gemm_v2"):
                self._multiply(np.float64 if name[6] == "D" else np.float32, plain[1:])
            return 13 if name == self._fails else 0

        return call

    def _multiply(self, dtype: Any, arguments: list[Any]) -> None:
        ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = arguments
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        left = at(a, *((k, m) if ta else (m, k)), lda, dtype)
        right = at(b, *((n, k) if tb else (k, n)), ldb, dtype)
        at(c, m, n, ldc, dtype)[...] = (left.T if ta else left) @ (right.T if tb else right)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("left_t", [False, True])
@pytest.mark.parametrize("right_t", [False, True])
def test_products_of_matrices_in_both_orders(dtype: str, left_t: bool, right_t: bool) -> None:
    random = np.random.default_rng(0)
    left = random.standard_normal((7, 5) if left_t else (5, 7)).astype(dtype)
    right = random.standard_normal((3, 7) if right_t else (7, 3)).astype(dtype)
    out = np.zeros((5, 3), dtype)
    factors = left.T if left_t else left, right.T if right_t else right
    piece = read_line((np.dot, (*factors, out)))
    assert isinstance(piece, Product)
    Blas(Library(), 1, 2).multiply(piece)
    np.testing.assert_allclose(out, factors[0] @ factors[1], rtol=1e-6, atol=1e-6)
    flags = gemm_of(piece).transposed
    assert flags == (TRANSPOSED if right_t else PLAIN, TRANSPOSED if left_t else PLAIN)


def test_the_handle_has_stream_workspace_and_mode() -> None:
    library = Library()
    blas = Blas(library, 0x10, 0x20)
    blas.set_math("tf32")
    assert library.asked[1:] == [
        ("cublasSetStream_v2", [0x10]),
        ("cublasSetWorkspace_v2", [0x20, WORKSPACE]),
        # CUBLAS_DEFAULT_MATH, then CUBLAS_TF32_TENSOR_OP_MATH, both with
        # CUBLAS_MATH_DISALLOW_REDUCED_PRECISION_REDUCTION.
        ("cublasSetMathMode", [16]),
        ("cublasSetMathMode", [3 | 16]),
    ]


def test_a_failure_is_told() -> None:
    with pytest.raises(MXNetError, match=r"cublasSetStream_v2 .* status 13"):
        Blas(Library(fails="cublasSetStream_v2"), 1, 2)
