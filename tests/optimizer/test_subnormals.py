"""Averages that decay for long: their subnormal numbers become zero by the count of updates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cuda_on_host import needs_compiler

from mxtrain import backend, optimizer
from mxtrain.optimizer import subnormals
from mxtrain.optimizer.rule import BoundRule, Slot


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_only_subnormal_numbers_are_set(dtype: str) -> None:
    least = np.finfo(dtype).smallest_normal
    smallest = np.finfo(dtype).smallest_subnormal
    kept = np.array([0.0, -0.0, least, -least, 1, -1, np.inf, -np.inf, np.nan], dtype)
    gone = np.array([smallest, -smallest, least - smallest, smallest - least], dtype)
    array = np.tile(np.concatenate([kept, gone]), 9000)  # several blocks, the last a short one
    subnormals.Sweeper([array]).sweep()
    found = array.reshape(9000, -1)
    expected = np.broadcast_to(kept, (9000, len(kept))).copy()
    assert found[:, : len(kept)].tobytes() == expected.tobytes()
    assert (found[:, len(kept) :] == 0).all()


def bound(name: str, where: str, **settings: Any) -> BoundRule:
    weight, grad = np.ones(40, "f"), np.full(40, 0.1, "f")
    return BoundRule(optimizer.create(name, **settings), [Slot(0, 0, 40)], weight, grad, where)


SWEEPING = [name for name in backend.installed() if name != "cupy"]


@pytest.mark.parametrize("name", ["sgd", "adam", "nag", "rmsprop"])
@pytest.mark.parametrize("where", SWEEPING)
def test_moments_of_a_silent_unit_end_at_zero(name: str, where: str) -> None:
    settings = {"momentum": 0.9} if name in ("sgd", "nag") else {"beta1": 0.5, "beta2": 0.9}
    settings = {"gamma1": 0.9} if name == "rmsprop" else settings
    rule = bound(name, where, learning_rate=0.001, wd=0, **settings)
    rule.step()
    rule.grad[:] = 0
    stuck = False
    for _ in range(5 * subnormals.EVERY - 1):
        rule.step()
        sizes = [np.abs(state) for state in rule.states.values()]
        stuck |= any(((s > 0) & (s < np.finfo("f").smallest_normal)).any() for s in sizes)
    assert stuck  # or there was nothing to sweep
    assert all((state == 0).all() for state in rule.states.values())


def test_updates_told_ahead_end_where_a_look_is_due() -> None:
    rule = bound("adam", "numpy")
    for _ in range(subnormals.EVERY - 3):
        rule.step()
    told = rule.ahead(10)
    assert told is not None
    assert [len(rows) for _, rows in told] == [3]
    rule.states["mean"][:] = 1e-40
    rule.advance(2)
    assert (rule.states["mean"] != 0).all()
    rule.advance(1)
    assert (rule.states["mean"] == 0).all()


@needs_compiler
@pytest.mark.usefixtures("device")
def test_a_gpu_is_told_updates_ahead_without_a_limit() -> None:
    rule = bound("adam", "cupy")
    told = rule.ahead(3 * subnormals.EVERY)
    assert told is not None
    assert [len(rows) for _, rows in told] == [3 * subnormals.EVERY]
    rule.states["mean"][:] = 1e-40
    rule.advance(subnormals.EVERY)
    assert (rule.states["mean"] != 0).all()


def test_copies_of_the_weight_are_no_averages() -> None:
    rule = bound("dcasgd", "numpy", momentum=0.9)
    rule.weight[:] = 1e-40
    rule.grad[:] = 0
    for _ in range(subnormals.EVERY):
        rule.step()
    (copy,) = rule.optimizer.copies_of_weight
    assert (rule.states[copy] != 0).all()


def test_masters_are_no_averages() -> None:
    weight, grad = np.ones(40, "e"), np.zeros(40, "e")
    made = optimizer.create("adam", multi_precision=True)
    rule = BoundRule(made, [Slot(0, 0, 40)], weight, grad)
    rule.step()
    assert rule.master is not None
    rule.master[:] = rule.states["mean"][:] = 1e-40
    for _ in range(subnormals.EVERY):
        rule.step()
    assert (rule.states["mean"] == 0).all() and (rule.master != 0).all()
