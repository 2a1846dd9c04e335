"""Numbers that sum an array up, in float64 and block by block.

A block is small, so that the statistics of a large array need no second array beside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Histogram", "Statistics", "histogram", "statistics"]

Array = np.ndarray[Any, Any]
Number = int | float

_BLOCK = 2**18
_SQUARABLE = (1e-150, 1e150)  # magnitudes whose squares float64 holds


@dataclass(frozen=True)
class Statistics:
    """What an array holds.

    Attributes
    ----------
    size : the number of elements.
    min, max, mean, std : of the finite elements; None where there are none, and for complex
        numbers and text. The spread is that of all of them (divided by their number, not by one
        less). The extremes of integers and truth values are exact integers.
    zeros, nan, inf : how many elements are zero (of either sign), NaN, infinite (of either sign).
    """

    size: int
    min: Number | None = None
    max: Number | None = None
    mean: float | None = None
    std: float | None = None
    zeros: int = 0
    nan: int = 0
    inf: int = 0


@dataclass(frozen=True)
class Histogram:
    """How many finite elements lie in each of equally wide intervals from `low` to `high`."""

    low: float
    high: float
    counts: tuple[int, ...]


def statistics(array: Array) -> Statistics:
    """Sum up an array of numbers or truth values; of text only the size is known.

    >>> statistics(np.array([0.0, 4.0, float("nan")]))
    Statistics(size=3, min=0.0, max=4.0, mean=2.0, std=2.0, zeros=1, nan=1, inf=0)
    """
    if array.dtype.kind not in "biufc":
        return Statistics(array.size)
    with np.errstate(all="ignore"):
        counts = _counts(array)
        if array.dtype.kind == "c" or counts["nan"] + counts["inf"] == array.size:
            return Statistics(array.size, **counts)
        low, high = _extremes(array)
        mean, std = _moments(array, float(low), float(high))
    return Statistics(array.size, low, high, mean, std, **counts)


def _blocks(array: Array) -> Iterator[Array]:
    flat = array.reshape(-1)
    return (flat[start : start + _BLOCK] for start in range(0, flat.size, _BLOCK))


def _finite_blocks(array: Array) -> Iterator[Array]:
    """Yield the finite elements as float64."""
    for block in _blocks(array):
        wide = block.astype(np.float64)
        finite = np.isfinite(wide)
        yield wide if finite.all() else wide[finite]


def _counts(array: Array) -> dict[str, int]:
    found = {"zeros": 0, "nan": 0, "inf": 0}
    for block in _blocks(array):
        found["zeros"] += block.size - int(np.count_nonzero(block))
        if array.dtype.kind in "fc":
            found["nan"] += int(np.count_nonzero(np.isnan(block)))
            found["inf"] += int(np.count_nonzero(np.isinf(block)))
    return found


def _extremes(array: Array) -> tuple[Number, Number]:
    if array.dtype.kind == "f":
        ends = [(b.min(), b.max()) for b in _finite_blocks(array) if b.size]
        return float(min(low for low, _ in ends)), float(max(high for _, high in ends))
    whole = [(int(b.min()), int(b.max())) for b in _blocks(array)]
    return min(low for low, _ in whole), max(high for _, high in whole)


def _moments(array: Array, low: float, high: float) -> tuple[float, float]:
    largest = max(abs(low), abs(high))
    smallest, greatest = _SQUARABLE
    scale = 1.0 if smallest <= largest <= greatest or not largest else largest
    count = total = 0.0
    for block in _finite_blocks(array):
        count += block.size
        total += float((block / scale).sum())
    mean = total / count
    squares = sum(float(np.square(block / scale - mean).sum()) for block in _finite_blocks(array))
    return mean * scale, math.sqrt(squares / count) * scale


def histogram(array: Array, found: Statistics, bins: int) -> Histogram | None:
    """Count the finite elements of `array`, whose statistics are `found`, in `bins` intervals.

    None where there are none. Elements that are all equal lie in the middle interval.

    >>> array = np.array([0.0, 1.0, 2.0, 2.0])
    >>> histogram(array, statistics(array), 2).counts
    (1, 3)
    """
    if found.min is None or found.max is None:
        return None
    low, high = float(found.min), float(found.max)
    counts = np.zeros(bins, np.int64)
    # Halves, because the distance between two huge numbers may not be one.
    span = high / 2 - low / 2
    with np.errstate(all="ignore"):
        for block in _finite_blocks(array):
            part = (block / 2 - low / 2) / span if span else np.full(block.shape, 0.5)
            numbers = np.clip(part * bins, 0, bins - 1).astype(np.int64)
            counts += np.bincount(numbers, minlength=bins)
    return Histogram(low, high, tuple(counts.tolist()))
