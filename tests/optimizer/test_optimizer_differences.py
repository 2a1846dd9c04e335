"""Where optimizers differ from MXNet 1.9.1 on purpose: what MXNet gives, and what we give.

MXNet's behaviour is restated or acted out here, and gives the recorded values; ours is what remains
when the defect is taken away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optimizer_formulas as formulas
import pytest
from golden_optimizers import (
    DIFFERS_ON_PURPOSE,
    ERRORS,
    HALF_NORMS,
    MANIFEST,
    RUNNABLE,
    Parameters,
    Replay,
    assert_close,
    make_quietly,
    replay,
    replay_with,
)
from optimizer_rows import COMMON, ROWS

import mxtrain as mx
from mxtrain.optimizer.adamw import adamw_update
from mxtrain.settings import settings as settings_of

Rule = Callable[[Any, Any, dict[str, Any], dict[str, Any]], Any]


def restate(case_id: str, rule: Rule) -> dict[int, Any]:
    """Run a case in float64: the weights after each step, by parameter."""
    case = RUNNABLE[case_id]
    given, optimizer = Parameters(case), make_quietly(case)
    names = [setting.name for setting in settings_of(type(optimizer))]
    own = {n: getattr(optimizer, n) for n in names if n not in COMMON}
    own |= {n: getattr(optimizer, n) for n in ("rescale_grad", "clip_gradient")}
    found: dict[int, Any] = {}
    for index in given.names:
        memory: dict[str, Any] = {}
        weight, found[index] = given.weight(index).astype(np.float64), []
        rate, wd = np.float64(optimizer._get_lr(index)), optimizer._get_wd(index)
        for step in range(case["steps"]):
            grad = given.grad(index, step).astype(np.float64)
            with np.errstate(all="ignore"):
                p = own | {"lr": rate, "wd": wd, "t": step + 1}
                weight = rule(weight, grad, memory, p)
            found[index].append(weight)
    return found


def assert_recorded(case_id: str, weights: dict[int, Any]) -> None:
    case = RUNNABLE[case_id]
    for index, found in weights.items():
        assert_close(found, Parameters(case).result("w", index), case["tol_plain"])


# -- 0/0, and rate 0 ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("case_id", "theirs", "ours"),
    [
        ("adamax/zero_first_step_nan", formulas.adamax_as_in_mxnet, formulas.adamax),
        ("adamax/clip_zero", formulas.adamax_as_in_mxnet, formulas.adamax),
        ("ftml/mults_index", formulas.ftml_as_in_mxnet, formulas.ftml),
        ("ftrl/mults_index", formulas.ftrl_as_in_mxnet, formulas.ftrl),
    ],
)
def test_where_mxnet_gives_nan_ours_stays(case_id: str, theirs: Rule, ours: Rule) -> None:
    recorded = restate(case_id, theirs)
    assert any(np.isnan(weights).any() for weights in recorded.values())
    assert_recorded(case_id, recorded)
    run, expected = replay(RUNNABLE[case_id]), restate(case_id, ours)
    for index, weights in run.weights.items():
        assert np.isfinite(weights).all()
        assert_close(weights, expected[index], RUNNABLE[case_id]["tol_plain"])


def test_centered_rmsprop_keeps_a_variance_of_at_least_zero() -> None:
    """A steady gradient has variance 0, which rounding makes negative: MXNet's root is NaN."""
    grad = np.linspace(100, 1000, 500, dtype=np.float32)
    share = np.float32(0.9)
    n, a = np.zeros_like(grad), np.zeros_like(grad)
    weight = np.zeros_like(grad)
    updater = mx.opt.get_updater(mx.opt.create("rmsprop", centered=True))
    negative = False
    for _ in range(200):
        n = share * n + (1 - share) * grad * grad
        a = share * a + (1 - share) * grad
        negative |= bool((n - a * a + np.float32(1e-8) < 0).any())
        updater(0, grad, weight)
    assert negative and np.isfinite(weight).all()


# -- mixed precision ---------------------------------------------------------------------------


def half_norm(array: Any) -> float:
    """The norm of the float16 array, each square rounded to float16."""
    squares = np.square(array.astype(np.float16))
    return float(np.sqrt(squares.astype(np.float32).sum()))


def with_half_norms(case: dict[str, Any]) -> Any:
    """The case's optimizer, measuring as MXNet does."""
    optimizer = make_quietly(case)
    if case["optimizer"] == "lars":

        def layer_rate(layer: Any) -> float:
            weight, grad = half_norm(layer.weight), half_norm(layer.grad)
            if optimizer.idx2name.get(layer.index, "").endswith(("bias", "gamma")):
                return float(layer.lr)
            size = optimizer.rescale_grad * grad + layer.wd * weight + optimizer.eps
            return float(layer.lr * optimizer.eta * weight / size) if weight and grad else layer.lr

        optimizer._layer_rate = layer_rate
        return optimizer
    scalars, ratio = optimizer.layer_scalars, optimizer.trust_ratio
    norms = []

    def layer_scalars(layer: Any) -> Any:
        norms.append(half_norm(layer.weight))
        return scalars(layer)

    optimizer.layer_scalars = layer_scalars
    optimizer.trust_ratio = lambda weight, step: ratio(norms[-1], step)
    return optimizer


def without_storing_masters(case: dict[str, Any]) -> Any:
    """The case's optimizer, forgetting the master that it has computed."""
    optimizer = make_quietly(case)

    def update(index: int, weight: Any, grad: Any, state: Any) -> None:
        inner, master = optimizer.unpack_master(state)
        forgotten = master.copy()
        optimizer.update(index, forgotten, grad.astype(np.float32), inner)
        weight[...] = forgotten

    optimizer.update_multi_precision = update
    return optimizer


def as_in_float32(case: dict[str, Any]) -> Replay:
    """Run a float16 case on float32 weights from the start."""
    given, optimizer = Parameters(case), make_quietly(case)
    updater = mx.opt.get_updater(optimizer)
    weights = {index: given.weight(index).astype(np.float32) for index in given.names}
    run = Replay(optimizer, {index: [] for index in weights}, {})
    for step in range(case["steps"]):
        indices = given.updated_in(step)
        grads = [given.grad(index, step).astype(np.float32) for index in indices]
        updater(indices, grads, [weights[index] for index in indices])
        for index, weight in weights.items():
            run.weights[index].append(weight.copy())
    return run


MASTERS = [
    *[(i, with_half_norms) for i, (why, _) in DIFFERS_ON_PURPOSE.items() if why == HALF_NORMS],
    ("lamb/direct_fp16_mp", without_storing_masters),
]


@pytest.mark.parametrize(("case_id", "as_in_mxnet"), MASTERS)
def test_masters_move_as_float32_weights_do(case_id: str, as_in_mxnet: Any) -> None:
    case = RUNNABLE[case_id]
    theirs, ours, alone = replay_with(case, as_in_mxnet), replay(case), as_in_float32(case)
    assert_recorded(case_id, theirs.weights)
    for index, masters in theirs.masters.items():
        recorded = Parameters(case).result("master", index)
        assert_close(masters, recorded, case["tol_master"])
        assert np.array_equal(ours.masters[index], alone.weights[index])


# -- DCASGD, LBSGD -----------------------------------------------------------------------------


def test_momentum_works_in_dcasgd() -> None:
    """MXNet fails at the first update; with that mended it gives the values that ours matches."""
    failing = [case for case in ERRORS if case["optimizer"] == "dcasgd"]
    assert {case["raises"] for case in failing} == {"ValueError", "AssertionError"}
    mended = [c["id"] for c in MANIFEST["cases"] if c.get("reference_patch") == "state_truth"]
    assert len(mended) == 9 and not set(mended) & set(DIFFERS_ON_PURPOSE)
    for case_id in set(mended) & set(RUNNABLE):
        assert_recorded(case_id, replay(RUNNABLE[case_id]).weights)


def test_a_reused_gradient_buffer_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    case = RUNNABLE["lbsgd/reused_grad_buffer"]
    ours = replay(case).weights
    expected = restate(case["id"], formulas.lbsgd)
    recorded = Parameters.grad
    buffers: dict[int, Any] = {}

    def reused(self: Any, index: int, step: int) -> Any:
        buffer = buffers.setdefault(index, recorded(self, index, 0))
        buffer[...] = recorded(self, index, step)
        return buffer

    monkeypatch.setattr(Parameters, "grad", reused)
    again = replay(case).weights
    for index, weights in ours.items():
        assert np.array_equal(weights, again[index])
        assert_close(weights, expected[index], case["tol_plain"])

    # MXNet's first sum is the buffer itself, which holds the second gradient by then.
    def second_twice(self: Any, index: int, step: int) -> Any:
        return recorded(self, index, max(step, 1))

    monkeypatch.setattr(Parameters, "grad", second_twice)
    assert_recorded(case["id"], replay(case).weights)


# -- SGLD --------------------------------------------------------------------------------------


def noise_of(seed: int, index: int = 0, updates: int = 1) -> Any:
    """The noise of one update of 20000 weights, at rate 1."""
    mx.random.seed(seed)
    updater = mx.opt.get_updater(mx.opt.create("sgld", learning_rate=1.0))
    weight = np.zeros(20000, np.float32)
    for _ in range(updates):
        weight[:] = 0
        updater(index, weight * 0, weight)
    return weight


def test_noise_is_decided_by_seed_parameter_and_count() -> None:
    """MXNet draws from one generator in order of execution, and its numbers cannot be repeated."""
    noise = noise_of(1)
    assert np.array_equal(noise, noise_of(1))
    for other in (noise_of(2), noise_of(1, index=1), noise_of(1, updates=2)):
        assert abs(np.corrcoef(noise, other)[0, 1]) < 0.03
    assert abs(noise.mean()) < 0.03 and abs(noise.std() - 1) < 0.02
    assert abs((np.abs(noise) < 1).mean() - 0.6827) < 0.01


# -- states ------------------------------------------------------------------------------------


def test_a_negative_momentum_makes_no_state() -> None:
    """MXNet makes a state that is never used; here the setting is refused, and later on ignored."""
    made, plain = mx.opt.create("sgd"), mx.opt.create("sgd")
    made.momentum = -0.9
    weights = np.ones((2, 3))
    assert made.create_state(0, weights[0]) is None
    made.update(0, weights[0], np.ones(3), None)
    plain.update(0, weights[1], np.ones(3), None)
    assert np.array_equal(weights[0], weights[1])


def test_stored_states_do_not_replace_the_optimizer() -> None:
    """MXNet takes over the pickled optimizer; here counters are restored, and settings kept."""
    source = mx.opt.get_updater(mx.opt.create("sgd", momentum=0.9, learning_rate=0.5))
    source(0, np.ones(2), np.ones(2))
    target = mx.opt.get_updater(mx.opt.create("sgd", momentum=0.8, learning_rate=0.1))
    mine = target.optimizer
    target.set_states(source.get_states(dump_optimizer=True))
    assert target.optimizer is mine and (mine.lr, mine.momentum) == (0.1, 0.8)
    assert mine.num_update == 1


@pytest.mark.parametrize("name", ["rmsprop", "adagrad", "adadelta", "ftrl", "groupadagrad"])
def test_float64_weights_have_float64_states(name: str) -> None:
    """MXNet's states are float32 whatever the weight, so that these updates fail."""
    failing = [c for c in ERRORS if c["optimizer"] == name and c.get("dtype") == "float64"]
    assert failing and all("backend error" in case["raises"] for case in failing)
    made, weight = mx.opt.create(name), np.ones((4, 3))
    state = made.create_state(0, weight)
    made.update(0, weight, np.ones_like(weight), state)
    arrays = state if isinstance(state, tuple) else (state,)
    assert all(array.dtype == np.float64 for array in arrays) and np.isfinite(weight).all()


# -- what updates leave alone ------------------------------------------------------------------


@pytest.mark.parametrize("name", ROWS)
def test_the_gradient_of_the_caller_is_left_alone(name: str) -> None:
    """MXNet's AdaDelta rescales it in place."""
    settings = {"rescale_grad": 0.5, "clip_gradient": 0.1, "wd": 0.1 * ROWS[name].decays}
    updater = mx.opt.get_updater(mx.opt.create(name, **settings))
    weight, grad = np.ones((2, 3)), np.full((2, 3), 2.0)
    for _ in range(2):
        updater(0, grad, weight)
    assert np.array_equal(grad, np.full((2, 3), 2.0))


def test_the_operator_leaves_the_gradient_alone() -> None:
    """MXNet's adamw_update overwrites it with the prepared one."""
    grad = np.full(3, 2.0)
    adamw_update(np.ones(3), grad, np.zeros(3), np.zeros(3), 0.5, lr=0.1, eta=1.0)
    assert np.array_equal(grad, np.full(3, 2.0))


def test_lars_keeps_its_rate_where_it_would_divide_by_zero() -> None:
    """Without decay and eps nothing is left below the line when rescale_grad is 0."""
    made = mx.opt.create("lars", rescale_grad=0.0, learning_rate=0.1)
    weight = np.ones(3)
    mx.opt.get_updater(made)(0, np.ones(3), weight)
    assert np.array_equal(weight, np.ones(3))
