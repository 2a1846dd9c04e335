"""Optimizers against independent float64 restatements, and by property."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from golden_optimizers import assert_close, flat_arrays
from hypothesis import given, settings
from hypothesis import strategies as st
from optimizer_rows import IN_ARENA, ROWS, VARIANTS

import mxtrain as mx
from mxtrain.optimizer.rule import BoundRule, Slot

every_row = pytest.mark.parametrize("name", ROWS)
every_variant = pytest.mark.parametrize(("name", "variant"), VARIANTS)

# Far enough from 0 that no product underflows; 0 itself is a rate like any other.
rates = st.just(0.0) | st.floats(1e-3, 0.5)
COMMON = {
    "wd": st.sampled_from([0.0, 0.1]) | st.floats(0, 0.5),
    "rescale_grad": st.sampled_from([1.0, 1 / 128, 0.0])
    | st.floats(-2, -0.01)
    | st.floats(0.01, 2),
    "begin_num_update": st.integers(0, 5),
}
OFF = st.sampled_from([None, 0.0, -1.0])
CLIP = {False: OFF | st.floats(0.01, 3), True: st.sampled_from([None, 0.0]) | st.floats(0.01, 3)}


def updater_of(name: str, **kwargs: Any) -> Any:
    return mx.opt.get_updater(mx.opt.create(name, **kwargs))


def test_every_registered_optimizer_has_a_row() -> None:
    missing = set(mx.opt.registry.names()) - set(ROWS)
    assert not missing, f"add {missing} to ROWS in tests/optimizer/optimizer_rows.py"
    assert set(ROWS) == set(mx.opt.registry.names())


@every_row
@given(data=st.data(), seed=st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_restatement(name: str, data: st.DataObject, seed: int) -> None:
    row = ROWS[name]
    kwargs = data.draw(st.fixed_dictionaries(COMMON)) | data.draw(row.settings)
    kwargs["clip_gradient"] = data.draw(CLIP[row.clips_to_zero])
    kwargs["wd"] *= row.decays
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(3, 2))
    memory: dict[str, Any] = {}
    expected, updater = weight.copy(), updater_of(name, **kwargs)
    noise = rng.normal(size=(6, 6))
    updater.optimizer.draw_noise = lambda index, t, out: np.copyto(out, noise[step])
    for step, lr in enumerate(data.draw(st.lists(rates, min_size=6, max_size=6))):
        grad = rng.normal(size=weight.shape)
        t = kwargs["begin_num_update"] + step + 1
        p = kwargs | {"lr": lr, "t": t, "noise": noise[step].reshape(3, 2)}
        expected = row.restated(expected, grad, memory, p)
        updater.optimizer.lr = lr
        updater(0, grad, weight)
        assert_close(weight, expected, 1e-11)


def test_muon_updates_vectors_by_adamw_at_a_rate_in_proportion() -> None:
    grads = np.random.default_rng(0).normal(size=(5, 4))
    weight, expected = np.ones(4), np.ones(4)
    muon = updater_of("muon", learning_rate=0.2, adamw_learning_rate=0.01, wd=0.1)
    adamw = updater_of("adamw", learning_rate=0.01, beta2=0.95, wd=0.1)
    for step, grad in enumerate(grads):
        factor = 0.5**step
        muon.optimizer.lr, adamw.optimizer.lr = 0.2 * factor, 0.01 * factor
        muon(0, grad, weight)
        adamw(0, grad, expected)
    np.testing.assert_allclose(weight, expected, rtol=1e-14)


@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (5, 2, 3)])
def test_muon_steps_are_nearly_orthogonal(shape: tuple[int, ...]) -> None:
    weight = np.zeros(shape)
    grad = np.random.default_rng(0).normal(size=shape)
    updater_of("muon", learning_rate=1.0)(0, grad, weight)
    matrix = weight.reshape(shape[0], -1)
    scale = max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
    values = np.linalg.svd(matrix / scale, compute_uv=False)
    assert (values > 0.5).all() and (values < 1.3).all()


# -- gradients of zero, rates of zero ----------------------------------------------------------


@every_variant
@pytest.mark.filterwarnings("ignore:a float16 weight")
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("wd", [0.0, 0.1])
def test_a_gradient_of_zero_never_gives_nan(
    name: str, variant: dict[str, Any], wd: float, dtype: str
) -> None:
    row = ROWS[name]
    extremes = [1e-3, 100.0] if dtype == "float16" else [1e-30, 1e30]
    start = np.array([[0.0, 1.0, -2.0, *extremes]], dtype)
    weight = start.copy()
    updater = updater_of(name, wd=wd * row.decays, clip_gradient=0.5, **variant)
    for _ in range(10):
        updater(0, np.zeros_like(weight), weight)
    assert np.isfinite(weight).all()
    if wd == 0 and row.when_still and dtype != "float16":
        limit = variant.get("clip_weights") or np.inf
        expected = np.clip(row.when_still(start), -limit, limit)
        np.testing.assert_allclose(weight, expected, rtol=1e-5)


def falling_to_zero() -> Any:
    return mx.lr_scheduler.PolyScheduler(max_update=5, base_lr=0.1, pwr=1)


@every_variant
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rate", ["schedule", "from zero", "zero", "multiplier"])
def test_a_rate_of_zero_never_gives_nan(
    name: str, variant: dict[str, Any], rate: str, dtype: str
) -> None:
    """Half of the gradients are zero always, half of them later on."""
    kwargs: dict[str, Any] = {"learning_rate": 0.0} if rate == "zero" else {}
    if rate == "schedule":
        kwargs = {"learning_rate": None, "lr_scheduler": falling_to_zero()}
    elif rate == "from zero":
        schedule = mx.lr_scheduler.FactorScheduler(step=100, base_lr=0.1, warmup_steps=4)
        kwargs = {"learning_rate": None, "lr_scheduler": schedule}
    updater = updater_of(name, wd=0.01 * ROWS[name].decays, **kwargs, **variant)
    if rate == "multiplier":
        updater.optimizer.set_lr_mult({0: 0.0})
    weight, bias = np.ones((2, 4), dtype), np.ones((1, 4), dtype)
    grad = np.array([[0.0, 0, 1, -1], [0, 0, 2, 1e-3]], dtype)
    for step in range(12):
        updater([0, 1], [grad * (step < 4), grad[:1]], [weight, bias])
        assert np.isfinite(weight).all() and np.isfinite(bias).all()
    if rate in ("zero", "multiplier") and name != "adadelta":
        assert np.array_equal(weight, np.clip(np.ones_like(weight), -3, 3))


# -- layouts -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "variant"), IN_ARENA)
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
        bound = flat_arrays(rule.state_of(slot, (sizes[slot.index],)))
        loose = flat_arrays(updater.states[slot.index])
        assert all(np.array_equal(a, b) for a, b in zip(bound, loose, strict=True))


@pytest.mark.parametrize(("name", "variant"), [v for v in VARIANTS if v[0] != "muon"])
@given(shape=st.lists(st.integers(0, 4), max_size=4).map(tuple), seed=st.integers(0, 9))
@settings(max_examples=20, deadline=None)
def test_shape_and_memory_layout_do_not_matter(
    name: str, variant: dict[str, Any], shape: tuple[int, ...], seed: int
) -> None:
    """The numbers of a parameter count as one row, however they are arranged."""
    rng = np.random.default_rng(seed)
    flat = rng.normal(size=(1, int(np.prod(shape))))
    if ROWS[name].matrices_only:
        shape = flat.shape
    column_major = np.array(flat.reshape(shape), order="F")
    updaters = [updater_of(name, wd=0.1 * ROWS[name].decays, **variant) for _ in range(2)]
    for _ in range(3):
        grad = rng.normal(size=flat.shape)
        updaters[0](0, grad, flat)
        updaters[1](0, np.array(grad.reshape(shape), order="F"), column_major)
    assert np.array_equal(flat.reshape(shape), column_major, equal_nan=True)
