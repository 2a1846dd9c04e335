"""Matrix products of a CUDA device: what cuBLAS is asked for, computed by a stand-in."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from mxtrain.backend.compiled.lines import GPU, Product, read_line
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
            if name == "cublasGemmEx":
                self._multiply_halves(plain[1:])
            return 13 if name == self._fails else 0

        return call

    def _multiply_halves(self, arguments: list[Any]) -> None:
        """cublasGemmEx: as the others, but every matrix has its type, and the last two say how."""
        ta, tb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc, *how = (
            arguments
        )
        # CUDA_R_16F, and CUBLAS_COMPUTE_32F, whose factors are floats, with CUBLAS_GEMM_DEFAULT.
        assert (a_type, b_type, c_type, how) == (2, 2, 2, [68, -1])
        assert type(alpha._obj) is type(beta._obj) is ctypes.c_float
        self._multiply(np.float16, [ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc])

    def _multiply(self, dtype: Any, arguments: list[Any]) -> None:
        ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc = arguments
        assert (alpha._obj.value, beta._obj.value) == (1, 0)
        left = at(a, *((k, m) if ta else (m, k)), lda, dtype)
        right = at(b, *((n, k) if tb else (k, n)), ldb, dtype)
        at(c, m, n, ldc, dtype)[...] = (left.T if ta else left) @ (right.T if tb else right)


NAMES = {"float16": "cublasGemmEx", "float32": "cublasSgemm_v2", "float64": "cublasDgemm_v2"}


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("left_t", [False, True])
@pytest.mark.parametrize("right_t", [False, True])
def test_products_of_matrices_in_both_orders(dtype: str, left_t: bool, right_t: bool) -> None:
    random = np.random.default_rng(0)
    left = random.standard_normal((7, 5) if left_t else (5, 7)).astype(dtype)
    right = random.standard_normal((3, 7) if right_t else (7, 3)).astype(dtype)
    out = np.zeros((5, 3), dtype)
    factors = left.T if left_t else left, right.T if right_t else right
    piece = read_line((np.dot, (*factors, out)), GPU)
    assert isinstance(piece, Product)
    library = Library()
    Blas(library, 1, 2).multiply(piece)
    assert library.asked[-1][0] == NAMES[dtype]
    limit = 2e-3 if dtype == "float16" else 1e-6
    np.testing.assert_allclose(out, factors[0] @ factors[1], rtol=limit, atol=limit)
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
