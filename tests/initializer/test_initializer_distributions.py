"""Random initializers by distribution: every recorded rule, shape by shape.

The Kolmogorov-Smirnov statistic is the largest distance between the empirical distribution
function and the exact one. At a true distribution it exceeds 2.23 / sqrt(n) once in ten thousand
seeds; the seeds here are fixed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from golden_initializers import ALL, GOLDEN, made

import mxtrain as mx
from mxtrain.initializer import InitDesc

NUMBERS = 4000

Distribution = Callable[[Any], Any]


def uniform(bound: float) -> Distribution:
    return lambda x: np.clip((x + bound) / (2 * bound), 0, 1)


def normal(sigma: float) -> Distribution:
    return np.vectorize(lambda x: (1 + math.erf(x / sigma / math.sqrt(2))) / 2)


def truncated(sigma: float, limit: float) -> Distribution:
    whole, tail = normal(sigma), (1 - math.erf(limit / math.sqrt(2))) / 2
    return lambda x: np.clip((whole(x) - tail) / (1 - 2 * tail), 0, 1)


def distance(values: Any, exact: Distribution) -> float:
    """Return the Kolmogorov-Smirnov statistic."""
    expected = exact(np.sort(values))
    steps = np.arange(len(values) + 1) / len(values)
    return float(max((steps[1:] - expected).max(), (expected - steps[:-1]).max()))


def critical(count: int) -> float:
    return 2.23 / math.sqrt(count)


def drawn(initializer: Any, shape: Any, seed: int = 11) -> Any:
    """Return the numbers in as many arrays of a shape as make `NUMBERS`."""
    mx.random.seed(seed)
    array = np.empty(shape, np.float32)
    found = []
    for _ in range(-(-NUMBERS // array.size)):
        initializer(InitDesc("x_weight"), array)
        found.append(array.reshape(-1).astype(np.float64))
    return np.concatenate(found)


# What Orthogonal draws is not what it fills an array with; see its own tests.
RECORDED = [
    pytest.param(entry, id=f"{entry['init']}-{'x'.join(map(str, entry['shape']))}-{number}")
    for number, entry in enumerate(c.entry for c in ALL if c.section == "random")
    if "error" not in entry and not entry["init"].startswith("Orthogonal")
]


def test_every_type_and_factor_is_recorded() -> None:
    text = " ".join(entry["init"] for entry in GOLDEN["random"])
    words = ("gaussian", "uniform", "avg", "in", "out", "MSRAPrelu", "Uniform", "Normal")
    assert all(word in text for word in words)
    assert len(RECORDED) == 203


@pytest.mark.parametrize("entry", RECORDED)
def test_kolmogorov_smirnov(entry: dict[str, Any]) -> None:
    values = drawn(made(entry["init"]), entry["shape"])
    if entry["distribution"] == "uniform":
        bound = entry["high"]
        assert distance(values, uniform(bound)) < critical(len(values))
        assert 0.997 * bound < np.abs(values).max() <= bound * (1 + 1e-6)
    else:
        assert distance(values, normal(entry["sigma"])) < critical(len(values))
        deviation = 4 / math.sqrt(2 * len(values))
        assert values.std() == pytest.approx(entry["sigma"], rel=deviation)


def test_the_statistic_finds_a_bound_that_is_wrong() -> None:
    values = drawn(mx.init.Uniform(1.0), (8, 5))
    assert distance(values, uniform(1.1)) > critical(len(values))
    assert distance(values, uniform(0.9)) > critical(len(values))
    assert distance(values, normal(3**-0.5)) > critical(len(values))
    many = np.concatenate([drawn(mx.init.Normal(1.0), (8, 5), seed) for seed in range(4)])
    assert distance(many, normal(1.1)) > critical(len(many))


@pytest.mark.parametrize("limit", [1.0, 2.0, 3.5])
@pytest.mark.parametrize("sigma", [0.01, 0.5])
def test_truncated_normal(sigma: float, limit: float) -> None:
    values = drawn(mx.init.TruncatedNormal(sigma, limit), (10, 3, 2))
    assert distance(values, truncated(sigma, limit)) < critical(len(values))
    assert np.abs(values).max() <= sigma * limit * (1 + 1e-6)
    if limit < 1.5:
        assert np.abs(values).max() > 0.98 * sigma * limit
        assert distance(values, normal(sigma)) > critical(len(values))
