"""Matrix products of a device: cuBLAS, called directly.

CuPy refuses its own products while a stream is captured. Here the handle has a workspace of its
own, so that nothing is allocated then.
"""

from __future__ import annotations

import ctypes
from typing import Any, NamedTuple

import numpy as np

from mxtrain.backend.compiled.lines import Product
from mxtrain.backend.cuda.batches import Products, batch_of
from mxtrain.backend.cuda.pieces import address_of
from mxtrain.errors import MXNetError

PLAIN, TRANSPOSED = 0, 1
# Sums of float16 products stay float32 until the end, also where several blocks share a sum.
_SUMS_IN_SINGLE = 16
# Sums of products in single precision; TF32 rounds the factors to ten bits and is several times as
# fast on devices that have it.
MATH = {"float32": 0 | _SUMS_IN_SINGLE, "tf32": 3 | _SUMS_IN_SINGLE}
# Of `cublasGemmEx`: float16 matrices, float32 sums and factors, the library's choice of algorithm.
_FLOAT16, _COMPUTE_FLOAT32, _DEFAULT_ALGORITHM = 2, 68, -1
WORKSPACE = 32 << 20  # bytes; what NVIDIA recommends for its newer devices


class Gemm(NamedTuple):
    """The arguments of a product in column order: ``C = op(A) op(B)``; addresses are words."""

    transposed: tuple[int, int]
    sizes: tuple[int, int, int]
    a: tuple[int, int]
    b: tuple[int, int]
    c: tuple[int, int]


def gemm_of(piece: Product) -> Gemm:
    """Return the arguments for a product of matrices that are stored row by row.

    In column order these are the transposed matrices, so the factors change places.
    """
    rows, inner = piece.left.shape
    columns = piece.target.shape[1]
    left_t, right_t = piece.transposed
    return Gemm(
        (TRANSPOSED if right_t else PLAIN, TRANSPOSED if left_t else PLAIN),
        (columns, rows, inner),
        (address_of(piece.right), inner if right_t else columns),
        (address_of(piece.left), rows if left_t else inner),
        (address_of(piece.target), columns),
    )


class Blas:
    """cuBLAS on one stream.

    Parameters
    ----------
    library : the library, as `ctypes` loads it.
    stream : the address of the stream.
    workspace : the address of `WORKSPACE` bytes on the device.
    """

    def __init__(self, library: Any, stream: int, workspace: int) -> None:
        self._library, self._handle = library, ctypes.c_void_p()
        pointer, size = ctypes.c_void_p, ctypes.c_size_t
        self._call("cublasCreate_v2", ctypes.byref(self._handle))
        self._call("cublasSetStream_v2", self._handle, pointer(stream))
        self._call("cublasSetWorkspace_v2", self._handle, pointer(workspace), size(WORKSPACE))
        self.set_math("float32")

    def set_math(self, math: str) -> None:
        """Compute float32 products in ``float32`` or ``tf32`` from now on."""
        self._call("cublasSetMathMode", self._handle, MATH[math])

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._library, name)(*arguments)
        if status:
            raise MXNetError(f"{name} of the GPU's BLAS failed with status {status}")

    def multiply(self, piece: Product) -> None:
        """Put a product into the queue of the stream."""
        double, half = piece.dtype == np.float64, piece.dtype == np.float16
        number = ctypes.c_double if double else ctypes.c_float
        (ta, tb), sizes, *matrices = gemm_of(piece)
        kind = (_FLOAT16,) if half else ()
        a, b, c = ((ctypes.c_void_p(address), *kind, leading) for address, leading in matrices)
        one, zero = ctypes.byref(number(1)), ctypes.byref(number(0))
        arguments = (self._handle, ta, tb, *sizes, one, *a, *b, zero, *c)
        if half:
            self._call("cublasGemmEx", *arguments, _COMPUTE_FLOAT32, _DEFAULT_ALGORITHM)
        else:
            self._call("cublasDgemm_v2" if double else "cublasSgemm_v2", *arguments)

    def multiply_batch(self, piece: Products) -> None:
        """Put the products of a batch into the queue of the stream."""
        double, half = piece.dtype == np.float64, piece.dtype == np.float16
        number = ctypes.c_double if double else ctypes.c_float
        (ta, tb), sizes, *matrices, count = batch_of(piece)
        kind = (_FLOAT16,) if half else ()
        a, b, c = (
            (ctypes.c_void_p(address), *kind, leading, ctypes.c_longlong(step))
            for address, leading, step in matrices
        )
        one, zero = ctypes.byref(number(1)), ctypes.byref(number(0))
        arguments = (self._handle, ta, tb, *sizes, one, *a, *b, zero, *c, count)
        if half:
            ends = (_COMPUTE_FLOAT32, _DEFAULT_ALGORITHM)
            self._call("cublasGemmStridedBatchedEx", *arguments, *ends)
        else:
            name = f"cublas{'D' if double else 'S'}gemmStridedBatched"
            self._call(name, *arguments)


def load() -> Any:
    """Load the library that CuPy uses; MXNetError where there is none."""
    from cuda.pathfinder import DynamicLibNotFoundError, load_nvidia_dynamic_lib

    try:
        return ctypes.CDLL(load_nvidia_dynamic_lib("cublas").abs_path)
    except DynamicLibNotFoundError as error:
        raise MXNetError(
            f"backend 'cupy' does not find cuBLAS ({str(error).splitlines()[0]}); "
            "pip install 'mxtrain[cupy]' brings it"
        ) from None
