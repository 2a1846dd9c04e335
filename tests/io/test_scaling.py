"""Scaling on the way into a buffer: the bits are those of doubles rounded to float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mxtrain.io.dataset import Dataset
from mxtrain.io.errors import DataError
from mxtrain.io.features import Features
from mxtrain.io.scaling import BLOCK, Scaler
from mxtrain.trainer.batches import Loader
from mxtrain.trainer.data import Rows

factors = st.floats(-1e3, 1e3)
shapes = arrays.array_shapes(max_dims=3, max_side=4)


def expected(samples: Any, offset: Any, factor: Any) -> Any:
    return ((samples.astype(np.float64) - offset) * factor).astype(np.float32)


@given(st.data(), shapes, st.sampled_from(["uint8", "int64", "float32", "float64"]))
def test_every_bit(data: st.DataObject, shape: tuple[int, ...], dtype: str) -> None:
    offset, factor = (data.draw(arrays.arrays("float64", shape, elements=factors)) for _ in "ab")
    kinds = {"width": 32} if dtype == "float32" else {}
    elements = factors if dtype == "float64" else st.integers(0, 255)
    if dtype == "float32":
        elements = st.floats(-100, 100, **kinds)
    samples = data.draw(
        arrays.arrays(dtype, (data.draw(st.integers(0, 5)), *shape), elements=elements)
    )
    out = np.full(samples.shape, np.nan, np.float32)
    Scaler(offset, factor).apply(samples, out)
    assert out.tobytes() == expected(samples, offset, factor).tobytes()


@pytest.mark.parametrize("size", [1, 100, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("rows", [1, 7, 400])
def test_rows_of_any_size(size: int, rows: int) -> None:
    if size * rows > 10 * BLOCK:
        rows = 10
    rng = np.random.default_rng(size)
    samples = rng.integers(0, 256, (rows, size), dtype=np.uint8)
    offset, factor = rng.uniform(0, 255, size), rng.uniform(0, 1, size)
    out = np.empty(samples.shape, np.float32)
    Scaler(offset, factor).apply(samples, out)
    assert np.array_equal(out, expected(samples, offset, factor))


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_targets_get_the_same_float32(dtype: str) -> None:
    samples, factor = np.arange(256, dtype=np.uint8), np.array(1 / 255)
    out = np.empty(256, dtype)
    Scaler(np.zeros(()), factor).apply(samples, out)
    assert np.array_equal(out, expected(samples, 0, factor).astype(dtype))


@pytest.mark.parametrize("scale", ["standard", "minmax"])
def test_images_stay_bytes_and_reach_the_network_as_before(scale: str) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (50, 3, 4), dtype=np.uint8)
    images[:, 0, 0] = 9  # a pixel that never changes
    dataset = Dataset("images", images, None)
    features = Features.fit(dataset, scale)
    data, scaler = features.prepare(dataset)
    assert data is images
    assert scaler is not None
    loader = Loader(Rows("images", data, (), scaler))
    chosen, buffer = rng.integers(0, 50, 20), np.empty((20, 3, 4), np.float32)
    loader.fill(chosen, buffer, [])
    wanted = features.apply(dataset)[chosen]
    assert buffer.tobytes() == wanted.tobytes()
    offset, factor = (np.reshape(v, (3, 4)) for v in (features.offset, features.factor))
    assert wanted.tobytes() == expected(images[chosen], offset, factor).tobytes()
    assert not buffer[:, 0, 0].any()


def test_a_factor_that_some_bytes_are_too_large_for() -> None:
    """What can become infinite is looked at row by row when the data are read."""
    features = Features((), "minmax", (1,), (0.0,), (2e36,))
    small = Dataset("small", np.array([[1], [2]], np.uint8), None)
    data, scaler = features.prepare(small)
    assert scaler is None
    assert data.dtype == np.float32
    with pytest.raises(DataError, match=r"large.*row 2.*too large for float32"):
        features.prepare(Dataset("large", np.array([[1], [255]], np.uint8), None))
