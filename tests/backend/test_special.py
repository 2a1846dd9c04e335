"""erf against the standard library."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mxtrain.backend.special import BLOCK, erf

RANGES = {
    "around zero": np.linspace(-0.5, 0.5, 20001),
    "middle": np.linspace(-4.5, 4.5, 20001),
    "tails": np.linspace(4, 40, 5001),
    "tiny": 10.0 ** np.linspace(-300, -1, 5001),
    "huge": 10.0 ** np.linspace(1, 300, 101),
}


def computed(x: np.ndarray) -> np.ndarray:
    out = np.full(x.shape, 7.0)
    erf(x, out)
    return out


@pytest.mark.parametrize("name", RANGES)
def test_agrees_to_the_last_digits(name: str) -> None:
    x = RANGES[name]
    expected = np.array([math.erf(value) for value in x])
    np.testing.assert_allclose(computed(x), expected, rtol=1e-15, atol=0)


def test_special_values() -> None:
    found = computed(np.array([math.nan, math.inf, -math.inf, 0.0, -0.0]))
    assert math.isnan(found[0])
    assert found[1:].tolist() == [1, -1, 0, 0]
    assert not np.signbit(found[3]) and np.signbit(found[4])


@given(st.floats(-30, 30))
def test_is_odd_and_bounded(x: float) -> None:
    plus, minus = computed(np.array([x, -x]))
    assert plus == -minus
    assert abs(plus) <= 1


def test_float32_is_the_double_result_rounded() -> None:
    x = np.linspace(-3, 3, 1001, dtype=np.float32)
    out = np.empty_like(x)
    erf(x, out)
    np.testing.assert_array_equal(out, computed(x.astype(np.float64)).astype(np.float32))


def test_shapes_blocks_and_strides() -> None:
    x = np.linspace(-3, 3, 2 * BLOCK + 6).reshape(2, -1)
    target = np.empty((x.shape[1], 2))
    erf(x, target.T)
    np.testing.assert_array_equal(target.T, computed(x))
    np.testing.assert_array_equal(
        computed(x.reshape(-1))[BLOCK - 1 : BLOCK + 1], computed(x).flat[BLOCK - 1 : BLOCK + 1]
    )


def test_allocates_no_arrays() -> None:
    x, out = np.ones(4 * BLOCK), np.empty(4 * BLOCK)
    erf(x, out)
    tracemalloc.start()
    try:
        erf(x, out)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8192
