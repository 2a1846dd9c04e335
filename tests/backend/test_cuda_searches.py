"""Where extremes stand, by kernels compiled for the host."""

from __future__ import annotations

import numpy as np
import pytest
from device_lines import both
from host_device import COMPILER, HostDevice

from mxtrain.backend.cuda.reading import read_line
from mxtrain.backend.cupy import CupyBackend

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
SEARCHES = [np.argmax, np.argmin]


@pytest.fixture(scope="module")
def cupy() -> CupyBackend:
    return CupyBackend(HostDevice())


@pytest.mark.parametrize("shape", [(1, 1), (3, 4), (40, 7), (2, 32), (5, 33), (1, 1000)])
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.__name__)
def test_the_first_of_several_extremes(
    cupy: CupyBackend, search: np.ufunc, shape: tuple[int, int]
) -> None:
    values = np.random.default_rng(0).integers(0, 4, shape)
    for dtype in ("float32", "float64", "float16", "int32", "int64", "uint8", "bool"):
        rows, out = cupy.from_host(values.astype(dtype)), cupy.zeros(shape[:1], "i8")
        (wanted,) = both(cupy, [(search, (rows, 1, out))], out)
        np.testing.assert_array_equal(out, wanted, err_msg=dtype)


@pytest.mark.parametrize("places", [(0,), (69,), (5, 64), (37, 38), (2, 34, 66)])
@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.__name__)
def test_the_first_nan(cupy: CupyBackend, search: np.ufunc, places: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=(2, 70)).astype("f")
    values[0, 3], values[0, 50] = np.inf, -np.inf
    values[1, list(places)] = np.nan
    rows, out = cupy.from_host(values), cupy.zeros((2,), "i8")
    (wanted,) = both(cupy, [(search, (rows, 1, out))], out)
    np.testing.assert_array_equal(out, wanted)
    assert out[1] == places[0]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.__name__)
def test_infinities_alone(cupy: CupyBackend, search: np.ufunc) -> None:
    rows = cupy.from_host(np.array([[np.inf] * 40, [-np.inf] * 40, [0.0, -0.0] * 20], "f"))
    out = cupy.zeros((3,), "i8")
    both(cupy, [(search, (rows, 1, out))], out)
    assert out.tolist() == [0, 0, 0]


def test_other_uses_are_the_hosts(cupy: CupyBackend) -> None:
    rows, out = cupy.zeros((3, 4), "f"), cupy.zeros((3,), "i8")
    assert read_line((np.argmax, (rows.T, 1, cupy.zeros((4,), "i8")))) is None
    assert read_line((np.argmax, (rows, 0, cupy.zeros((4,), "i8")))) is None
    assert read_line((np.argmax, (rows, 1, out))) is not None
