"""Every rule goes downhill: a convex quadratic, and the curved valley of Rosenbrock."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from optimizer_rows import ROWS, VARIANTS

import mxtrain as mx
from mxtrain.optimizer.rule import BoundRule, Slot

every_variant = pytest.mark.parametrize(("name", "variant"), VARIANTS)
CURVATURE = np.array([[1.0, 10.0, 0.3, 4.0]])


def quadratic(weight: Any) -> tuple[float, Any]:
    """Value and gradient of an ellipse with condition number 33."""
    return float((CURVATURE * weight**2).sum() / 2), CURVATURE * weight


def rosenbrock(weight: Any) -> tuple[float, Any]:
    """Value and gradient; the minimum 0 is at (1, 1), along a narrow bent valley."""
    a, b = weight[0]
    slope = [-2 * (1 - a) - 400 * a * (b - a**2), 200 * (b - a**2)]
    return float((1 - a) ** 2 + 100 * (b - a**2) ** 2), np.array([slope])


def minimise(
    optimizer: Any, function: Callable[[Any], tuple[float, Any]], start: Any, updates: int
) -> float:
    """Return the value after some updates, made in an arena where the optimizer has a formula."""
    weight = np.array([start])
    grad = np.zeros_like(weight)
    step: Callable[[], None]
    if optimizer.has_rule:
        step = BoundRule(optimizer, [Slot(0, 0, weight.size)], weight[0], grad[0]).step
    else:
        step = partial(mx.opt.get_updater(optimizer), 0, grad, weight)
    for _ in range(updates):
        grad[...] = function(weight)[1]
        step()
    return function(weight)[0]


@every_variant
def test_quadratic(name: str, variant: dict[str, Any]) -> None:
    mx.random.seed(1)
    start = [3.0, -2.0, 1.0, -5.0]
    made = mx.opt.create(name, **ROWS[name].quadratic, **variant)
    assert minimise(made, quadratic, start, 300) < 0.1 * quadratic(np.array([start]))[0]


@every_variant
def test_rosenbrock(name: str, variant: dict[str, Any]) -> None:
    mx.random.seed(1)
    start = [-1.2, 1.0]
    made = mx.opt.create(name, **ROWS[name].rosenbrock, **variant)
    assert minimise(made, rosenbrock, start, 2000) < 0.1 * rosenbrock(np.array([start]))[0]


def test_sgld_samples_around_the_minimum() -> None:
    """Under a unit curvature the samples have mean 0 and variance 1."""
    mx.random.seed(1)
    made = mx.opt.create("sgld", learning_rate=0.1)
    updater, weight = mx.opt.get_updater(made), np.zeros(5000)
    for _ in range(100):
        updater(0, weight.copy(), weight)
    assert abs(weight.mean()) < 0.05 and abs(weight.var() - 1) < 0.1
