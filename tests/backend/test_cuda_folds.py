"""Sums, products and extremes over any axes, by kernels compiled for the host."""

from __future__ import annotations

import numpy as np
import pytest
from device_lines import both
from host_device import COMPILER, HostDevice

from mxtrain.backend.compiled.lines import read_line as read_compiled
from mxtrain.backend.cuda.folds import Fold
from mxtrain.backend.cuda.reading import read_line
from mxtrain.backend.cupy import CupyBackend
from mxtrain.backend.numpy import run

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler to stand in for a device")
SHAPES = [(2, 3, 4), (1, 1, 1), (5, 1, 7), (3, 70, 37), (20, 33, 1), (20, 3, 400)]
AXES = [1, (1,), (0, 2), (0, 1), (2, 0, 1), (1, 2), None, -2, ()]
UFUNCS = [np.add, np.multiply, np.maximum, np.minimum]


@pytest.fixture(scope="module")
def cupy() -> CupyBackend:
    return CupyBackend(HostDevice())


def kept(shape: tuple[int, ...], axes: int | tuple[int, ...] | None) -> tuple[int, ...]:
    return np.zeros(shape).sum(axes).shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_any_axes(
    cupy: CupyBackend, ufunc: np.ufunc, axes: int | tuple[int, ...] | None, shape: tuple[int, ...]
) -> None:
    values = np.random.default_rng(0).normal(size=shape)
    values = 1 + values / 100 if ufunc is np.multiply else values
    limits = {"float64": 1e-12, "float32": 1e-5, "float16": 3e-3}
    for dtype in limits if ufunc is np.add else ("float32",):
        source = cupy.from_host(values.astype(dtype))
        out = cupy.zeros(kept(shape, axes), dtype)
        both(cupy, [(ufunc.reduce, (source, axes, None, out))], out)
        exact = ufunc.reduce(source.astype("d"), axes)
        scale = 1 + np.add.reduce(np.abs(source.astype("d")), axes)
        assert (np.abs(out - exact) <= limits[dtype] * scale).all()
        if ufunc in (np.maximum, np.minimum):
            np.testing.assert_array_equal(out, exact)


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
def test_whole_numbers(cupy: CupyBackend, dtype: str, ufunc: np.ufunc) -> None:
    """They wrap as NumPy's."""
    ends = np.iinfo(dtype)
    values = np.random.default_rng(0).integers(ends.min, ends.max, (3, 40, 5), dtype)
    source, out = cupy.from_host(values), cupy.zeros((3, 5), dtype)
    (wanted,) = both(cupy, [(ufunc.reduce, (source, 1, None, out))], out)
    np.testing.assert_array_equal(out, wanted)


def test_truth_values_are_counted(cupy: CupyBackend) -> None:
    source = cupy.from_host(np.arange(600).reshape(20, 30) % 7 < 3)
    for dtype in ("float32", "float64", "float16"):
        out, rows = cupy.zeros((), dtype), cupy.zeros((20,), dtype)
        lines = [
            (np.add.reduce, (source, None, None, out)),
            (np.add.reduce, (source, (1,), np.dtype(dtype), rows)),
        ]
        for found, wanted in zip((out, rows), both(cupy, lines, out, rows), strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_sums_of_float32_may_be_written_as_float16(cupy: CupyBackend) -> None:
    source = cupy.from_host(np.random.default_rng(0).normal(size=(3, 40, 5)).astype("f"))
    out = cupy.zeros((40,), "e")
    (wanted,) = both(cupy, [(np.add.reduce, (source, (0, 2), None, out))], out)
    np.testing.assert_allclose(out, wanted, rtol=1e-3)


@pytest.mark.parametrize("view", [np.s_[::-1, :, 1:], np.s_[:, ::2], np.s_[..., ::-1]], ids=str)
def test_arrays_with_gaps(cupy: CupyBackend, view: object) -> None:
    whole = cupy.from_host(np.random.default_rng(0).normal(size=(4, 6, 5)))
    source = whole[view].swapaxes(0, 1)
    for axes in ((0,), (1,), (2,), (0, 2)):
        out = cupy.zeros(kept(source.shape, axes), "d")
        (wanted,) = both(cupy, [(np.add.reduce, (source, axes, None, out))], out)
        np.testing.assert_allclose(out, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_nan_is_not_lost(cupy: CupyBackend, ufunc: np.ufunc) -> None:
    values = np.ones((2, 50, 3), "f")
    values[1, 17, 2] = np.nan
    source, out = cupy.from_host(values), cupy.zeros((2, 3), "f")
    (wanted,) = both(cupy, [(ufunc.reduce, (source, 1, None, out))], out)
    np.testing.assert_array_equal(out, wanted)
    assert np.isnan(out).sum() == 1


@pytest.mark.parametrize("axes", [0, 1, (0, 2), None], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float16", "float64"])
def test_extremes_of_what_a_mask_leaves(
    cupy: CupyBackend, dtype: str, axes: int | tuple[int, ...] | None
) -> None:
    """And of a first number, which is the result where nothing is left."""
    values = np.random.default_rng(0).normal(size=(3, 40, 5)).astype(dtype)
    values[0, 3], values[1, 7] = np.nan, np.inf
    mask = np.random.default_rng(1).random((40, 5)) < 0.4
    mask[:, 2] = mask[3] = False
    source, keep = cupy.from_host(values), cupy.from_host(mask)
    for ufunc, first in ((np.maximum, np.finfo(dtype).min), (np.minimum, 0.25)):
        out = cupy.zeros(kept(values.shape, axes), dtype)
        line = (ufunc.reduce, (source, axes, None, out, False, first, keep))
        (wanted,) = both(cupy, [line], out)
        np.testing.assert_array_equal(out, wanted)


def test_the_order_never_changes(cupy: CupyBackend) -> None:
    source = cupy.from_host(np.random.default_rng(0).normal(size=(7, 1000, 3)).astype("f"))
    outs = [cupy.zeros((7, 3), "f") for _ in range(2)]
    for out in outs:
        run(cupy.join([(np.add.reduce, (source, 1, None, out))])[0])
    assert outs[0].tobytes() == outs[1].tobytes()


def test_what_compiled_lines_read_is_not_read_anew(cupy: CupyBackend) -> None:
    source, out = cupy.zeros((2, 3, 4), "f"), cupy.zeros((2, 4), "f")
    line = (np.add.reduce, (source, 1, None, out))
    assert read_compiled(line) is None and isinstance(read_line(line), Fold)
    rows = (np.add.reduce, (source, (2,), None, cupy.zeros((2, 3), "f")))
    assert not isinstance(read_line(rows), Fold)


def test_nothing_to_fold_and_other_uses_are_the_hosts(cupy: CupyBackend) -> None:
    out, source = cupy.zeros((2, 4), "f"), cupy.zeros((2, 3, 4), "f")
    assert read_line((np.add.reduce, (cupy.zeros((2, 0, 4), "f"), 1, None, out))) is None
    assert read_line((np.add.reduce, (source, 1, None, out, False, 0.0, source > 0))) is None
    assert read_line((np.maximum.reduce, (source, 1, None, out[:, None], True))) is None
    assert read_line((np.add.reduce, (source, 1, None, source[:, 0]))) is None
    assert read_line((np.logical_or.reduce, (source, 1, None, out))) is None
