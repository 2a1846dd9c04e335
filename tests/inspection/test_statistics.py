"""Statistics against an independent computation, for every element type and any size."""

from __future__ import annotations

import math
import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mxtrain.inspection import statistics as module
from mxtrain.inspection.statistics import Histogram, Statistics, histogram, statistics

TYPES = ["f2", "f4", "f8", "i1", "u1", "i4", "i8", "u8", "?", ">f4"]


@given(hnp.arrays(st.sampled_from(TYPES), hnp.array_shapes(min_dims=0, min_side=0, max_side=5)))
def test_any_array(array: Any) -> None:
    found = statistics(array)
    values = [value for value in array.reshape(-1).tolist() if math.isfinite(value)]
    flat = array.reshape(-1)
    assert found.size == array.size
    assert found.zeros == sum(value == 0 for value in values)
    if array.dtype.kind == "f":
        assert (found.nan, found.inf) == (np.isnan(flat).sum(), np.isinf(flat).sum())
    if not values:
        assert found.min is found.max is found.mean is found.std is None
        return
    assert (found.min, found.max) == (min(values), max(values))
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    largest = max(map(abs, exact)) or Fraction(1)
    assert found.mean is not None and found.std is not None
    assert abs(Fraction(found.mean) - mean) <= largest * Fraction(1, 10**12)
    variance = sum((value - mean) ** 2 for value in exact) / len(exact)
    spread = Fraction(found.std) ** 2
    assert abs(spread - variance) <= largest**2 * Fraction(1, 10**12)


@given(hnp.arrays(st.sampled_from(TYPES), hnp.array_shapes(max_side=5)), st.integers(1, 30))
def test_histogram_counts_every_finite_element(array: Any, bins: int) -> None:
    found = statistics(array)
    drawn = histogram(array, found, bins)
    finite = found.size - found.nan - found.inf
    if drawn is None:
        assert finite == 0
        return
    assert (sum(drawn.counts), len(drawn.counts)) == (finite, bins)
    assert (drawn.low, drawn.high) == (float(found.min or 0), float(found.max or 0))
    if drawn.low < drawn.high and bins > 1:
        assert drawn.counts[0] > 0
        assert drawn.counts[-1] > 0


def test_histogram_intervals() -> None:
    array = np.array([0.0, 0.9, 1.0, 2.5, 4.0, np.nan], np.float32)
    assert histogram(array, statistics(array), 4) == Histogram(0.0, 4.0, (2, 1, 1, 1))
    array = np.full(5, 7)
    assert histogram(array, statistics(array), 3) == Histogram(7.0, 7.0, (0, 5, 0))


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e300])
def test_huge_and_tiny_values(size: float) -> None:
    found = statistics(np.array([size, -size, size, -size]))
    assert (found.min, found.max, found.mean) == (-size, size, 0.0)
    assert found.std == pytest.approx(size, rel=1e-12)


def test_integers_keep_every_digit() -> None:
    found = statistics(np.array([2**63 - 1, 2**63 - 2]))
    assert (found.min, found.max) == (2**63 - 2, 2**63 - 1)
    assert found.mean == pytest.approx(2.0**63)


def test_complex_numbers_and_text() -> None:
    found = statistics(np.array([0, 1j, complex("nan"), complex("inf")]))
    assert found == Statistics(4, zeros=1, nan=1, inf=1)
    assert statistics(np.array(["a", ""])) == Statistics(2)


def test_blocks_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(1).normal(size=1000).astype(np.float32)
    array[::7] = 0
    array[3::100] = np.inf
    whole = statistics(array)
    monkeypatch.setattr(module, "_BLOCK", 64)
    pieces = statistics(array)
    assert (pieces.min, pieces.max, pieces.zeros) == (whole.min, whole.max, whole.zeros)
    assert (pieces.nan, pieces.inf) == (whole.nan, whole.inf) == (0, 10)
    assert pieces.mean == pytest.approx(whole.mean, rel=1e-12)
    assert pieces.std == pytest.approx(whole.std, rel=1e-12)
    assert histogram(array, pieces, 9) == histogram(array, whole, 9)


def test_a_large_array_takes_no_second_one() -> None:
    array = np.zeros(4_000_000, np.float32)
    tracemalloc.start()
    histogram(array, statistics(array), 12)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < array.nbytes
