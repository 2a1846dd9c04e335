"""Products of batches of matrices: what cuBLAS is asked for, computed by a stand-in."""

from __future__ import annotations

import numpy as np
import pytest
from device_lines import both
from host_device import COMPILER, HostDevice
from test_cuda_products import Library, at

from mxtrain.backend.compiled.lines import Product
from mxtrain.backend.cuda.batches import Products
from mxtrain.backend.cuda.blas import Blas
from mxtrain.backend.cuda.reading import read_line
from mxtrain.backend.cupy import CupyBackend

DTYPES = {"float32": 1e-6, "float64": 1e-14, "float16": 2e-3}
NAMES = {
    "float32": "cublasSgemmStridedBatched",
    "float64": "cublasDgemmStridedBatched",
    "float16": "cublasGemmStridedBatchedEx",
}


class Batches(Library):
    """Computes the products as the BLAS defines them."""

    def __getattr__(self, name: str) -> object:
        call = super().__getattr__(name)

        def batched(*arguments: object) -> int:
            status: int = call(*arguments)
            if "Batched" in name:
                self._multiply_all(self.asked[-1][1])
            return status

        return batched

    def _multiply_all(self, given: list) -> None:
        dtype: type[np.floating] = np.float16
        if "Ex" in self.asked[-1][0]:
            ta, tb, m, n, k, _, a, _, lda, sa, b, _, ldb, sb, _, c, _, ldc, sc, count, *_ = given
        else:
            ta, tb, m, n, k, _, a, lda, sa, b, ldb, sb, _, c, ldc, sc, count = given
            dtype = np.float64 if "D" in self.asked[-1][0] else np.float32
        size = np.dtype(dtype).itemsize
        for i in range(count):
            left = at(a + i * sa * size, *((k, m) if ta else (m, k)), lda, dtype)
            right = at(b + i * sb * size, *((n, k) if tb else (k, n)), ldb, dtype)
            factors = (left.T if ta else left).astype("d"), (right.T if tb else right).astype("d")
            at(c + i * sc * size, m, n, ldc, dtype)[...] = factors[0] @ factors[1]


def normal(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("left_t", [False, True])
@pytest.mark.parametrize("right_t", [False, True])
@pytest.mark.parametrize(
    ("lead", "m", "k", "n"),
    [((4,), 5, 7, 3), ((1,), 2, 3, 4), ((2, 3), 4, 1, 2), ((3,), 1, 5, 1), ((2, 1, 2), 1, 1, 3)],
)
def test_batches_in_both_orders(
    dtype: str, left_t: bool, right_t: bool, lead: tuple[int, ...], m: int, k: int, n: int
) -> None:
    left = normal((*lead, k, m) if left_t else (*lead, m, k), dtype)
    right = normal((*lead, n, k) if right_t else (*lead, k, n), dtype, 1)
    out = np.zeros((*lead, m, n), dtype)
    a, b = (x.swapaxes(-1, -2) if t else x for x, t in ((left, left_t), (right, right_t)))
    piece = read_line((np.matmul, (a, b, out)))
    assert isinstance(piece, Products)
    library = Batches()
    Blas(library, 1, 2).multiply_batch(piece)
    assert library.asked[-1][0] == NAMES[dtype]
    np.testing.assert_allclose(
        out, a.astype("d") @ b.astype("d"), rtol=DTYPES[dtype], atol=3 * DTYPES[dtype]
    )


def test_a_factor_for_all_pairs_and_rows_with_gaps() -> None:
    left, right, out = normal((4, 3, 6), "f"), normal((5, 2), "f", 1), np.zeros((4, 3, 2), "f")
    piece = read_line((np.matmul, (left[..., :5], right, out)))
    assert isinstance(piece, Products) and piece.layouts[1].step == 0
    Blas(Batches(), 1, 2).multiply_batch(piece)
    np.testing.assert_allclose(out, left[..., :5] @ right, rtol=1e-5, atol=1e-6)


def test_a_single_product_is_one() -> None:
    for shapes in (((2, 3), (3, 4), (2, 4)), ((1, 5), (5, 1), (1, 1))):
        arrays = [np.ones(shape, "f") for shape in shapes]
        assert isinstance(read_line((np.matmul, tuple(arrays))), Product)


def test_what_is_no_equal_batch_is_the_hosts() -> None:
    left, right, out = (np.ones(shape, "f") for shape in ((4, 3, 2), (4, 2, 5), (4, 3, 5)))
    assert read_line((np.matmul, (left, right, out))) is not None
    assert read_line((np.matmul, (left[:, :, ::2], right[:, :1], out))) is not None
    assert read_line((np.matmul, (left, right[..., ::-1], out))) is None
    assert read_line((np.matmul, (left, right.astype("d"), out))) is None
    assert read_line((np.matmul, (left, right, out.swapaxes(1, 2).copy().swapaxes(1, 2)))) is None
    whole = tuple(array.astype("i4") for array in (left, right, out))
    assert read_line((np.matmul, whole)) is None
    uneven = np.ones((3, 3, 3, 2), "f")[:2, :2]
    assert (
        read_line((np.matmul, (uneven, np.ones((2, 5), "f"), np.ones((2, 2, 3, 5), "f")))) is None
    )
    square = np.ones((2, 3, 3), "f")
    assert read_line((np.matmul, (square, square.copy(), square))) is None


@pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
def test_lines_of_a_plan() -> None:
    cupy = CupyBackend(HostDevice())
    left, right = (cupy.from_host(normal(shape, "f")) for shape in ((4, 3, 2), (4, 2, 5)))
    out = cupy.zeros((4, 3, 5), "f")
    (wanted,) = both(cupy, [(np.matmul, (left, right, out))], out)
    np.testing.assert_array_equal(out, wanted)
