"""Optimizers against independent float64 restatements, and by property."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_optimizers import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_rows import ROWS, VARIANTS

import mxtrain as mx
from mxtrain.optimizer.rule import BoundRule, Slot

every_row = pytest.mark.parametrize("name", ROWS)
every_variant = pytest.mark.parametrize(("name", "variant"), VARIANTS)

COMMON = {
    "learning_rate": st.floats(0, 0.5),
    "wd": st.sampled_from([0.0, 0.1]) | st.floats(0, 0.5),
    "rescale_grad": st.sampled_from([1.0, 1 / 128]) | st.floats(-2, 2),
    "clip_gradient": st.sampled_from([None, 0.0, -1.0]) | st.floats(0.01, 3),
    "begin_num_update": st.integers(0, 5),
}


def updater_of(name: str, **kwargs: Any) -> Any:
    return mx.opt.get_updater(mx.opt.create(name, **kwargs))


def test_every_registered_optimizer_has_a_row() -> None:
    assert set(ROWS) == set(mx.opt.registry.names())


@every_row
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_restatement(name: str, data: st.DataObject, seed: int) -> None:
    row = ROWS[name]
    kwargs = data.draw(st.fixed_dictionaries({**COMMON, **row.settings}))
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 2))
    expected, memory = weight.copy(), {}
    updater = updater_of(name, **kwargs)
    own = {key: kwargs[key] for key in row.settings}
    for step in range(6):
        grad = rng.normal(size=weight.shape)
        p = {"lr": kwargs["learning_rate"], "wd": kwargs["wd"], "rho": kwargs["rescale_grad"]}
        p |= {"clip": kwargs["clip_gradient"], "t": kwargs["begin_num_update"] + step + 1} | own
        expected = row.restated(expected, grad, memory, p)
        updater(0, grad, weight)
        assert_close(weight, expected, 1e-11)


@every_variant
@given(
    start=st.lists(st.floats(1, 10) | st.floats(-10, -1), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_loss_of_a_quadratic_goes_down(
    name: str, variant: dict[str, Any], start: list[float], seed: int
) -> None:
    curvature = np.random.default_rng(seed).uniform(0.1, 1, len(start))
    weight = np.array(start)
    updater = updater_of(name, **ROWS[name].descent, **variant)
    before = (curvature * weight**2).sum()
    for _ in range(60):
        updater(0, curvature * weight, weight)
    assert (curvature * weight**2).sum() < before


@every_variant
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("wd", [0.0, 0.1])
def test_a_gradient_of_zero_never_gives_nan(
    name: str, variant: dict[str, Any], wd: float, dtype: str
) -> None:
    start = np.array([0.0, 1.0, -2.0, 1e-30, 1e30], dtype)
    weight = start.copy()
    updater = updater_of(name, wd=wd, clip_gradient=0.5, **variant)
    for _ in range(10):
        updater(0, np.zeros_like(weight), weight)
    assert np.isfinite(weight).all()
    if wd == 0:
        assert np.array_equal(weight, start)


@every_variant
@given(
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    data=st.data(),
    wd=st.sampled_from([0.0, 0.1]),
    seed=st.integers(0, 99),
)
@settings(max_examples=20, deadline=None)
def test_results_never_depend_on_the_layout(
    name: str, variant: dict[str, Any], sizes: list[int], data: st.DataObject, wd: float, seed: int
) -> None:
    """Any order, any gaps, any multipliers: the bits of the updater."""
    order = data.draw(st.permutations(range(len(sizes))))
    names = {i: f"p{i}_{'weight' if i % 2 else 'bias'}" for i in range(len(sizes))}
    mults = {i: data.draw(st.sampled_from([0.5, 1.0])) for i in range(len(sizes))}
    rng = np.random.default_rng(seed)
    weights = [rng.normal(size=size).astype(np.float32) for size in sizes]
    made = [mx.opt.create(name, wd=wd, param_idx2name=names, **variant) for _ in range(2)]
    slots, end = [], 0
    for index in order:
        end += data.draw(st.integers(0, 3))
        slots.append(Slot(index, end, end + sizes[index]))
        end = slots[-1].stop
    weight, grad = np.zeros(end, np.float32), np.zeros(end, np.float32)
    for slot in slots:
        weight[slot.start : slot.stop] = weights[slot.index]
    rule, updater = BoundRule(made[0], slots, weight, grad), mx.opt.get_updater(made[1])
    for step in range(4):
        if step == 2:  # a change in the middle of a run
            for optimizer in made:
                optimizer.set_lr_mult(mults)
                optimizer.wd = 0.2
        grads = [rng.normal(size=size).astype(np.float32) for size in sizes]
        for slot in slots:
            grad[slot.start : slot.stop] = grads[slot.index]
        rule.step()
        updater(list(range(len(sizes))), grads, weights)
    for slot in slots:
        assert np.array_equal(weight[slot.start : slot.stop], weights[slot.index])
        state = rule.state_of(slot, (sizes[slot.index],))
        assert np.array_equal(np.array(state), np.array(updater.states[slot.index]))


@every_variant
@given(shape=st.lists(st.integers(0, 4), max_size=4).map(tuple), seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_shape_and_memory_layout_do_not_matter(
    name: str, variant: dict[str, Any], shape: tuple[int, ...], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=int(np.prod(shape)))
    column_major = np.array(flat.reshape(shape), order="F")
    updaters = [updater_of(name, wd=0.1, **variant) for _ in range(2)]
    for _ in range(3):
        grad = rng.normal(size=flat.shape)
        updaters[0](0, grad, flat)
        updaters[1](0, np.array(grad.reshape(shape), order="F"), column_major)
    assert np.array_equal(flat.reshape(shape), column_major)
