"""Optimizers against the recorded values of MXNet 1.9.1."""

from __future__ import annotations

import warnings
from functools import cache
from typing import Any

import numpy as np
import pytest
from golden_optimizers import (
    DIFFERS_ON_PURPOSE,
    ERRORS,
    MANIFEST,
    OPTIMIZER_CASES,
    RUNNABLE,
    Parameters,
    Replay,
    assert_close,
    differs_in,
    flat_arrays,
    is_dense,
    make,
    make_quietly,
    make_scheduler,
    replay,
    replay_in_arena,
)
from optimizer_rows import ROWS

import mxtrain as mx
from mxtrain import backend
from mxtrain.sparse import RowSparseNDArray

every_case = pytest.mark.parametrize("case_id", RUNNABLE)
every_optimizer_case = pytest.mark.parametrize("case_id", OPTIMIZER_CASES)
done_on = cache(lambda backend_name, case_id: replay(RUNNABLE[case_id]))
# The arena updates all of its parameters at every step, and has no float32 masters.
IN_ARENA = [
    case_id
    for case_id, case in OPTIMIZER_CASES.items()
    if "updates" not in case
    and not case["kwargs"].get("multi_precision")
    and case["optimizer"] != "groupadagrad"
    and is_dense(case)
]


def done(case_id: str) -> Any:
    return done_on(backend.default(), case_id)


def case_of(case_id: str) -> tuple[dict[str, Any], Parameters, Replay]:
    case = RUNNABLE[case_id]
    return case, Parameters(case), done(case_id)


def not_on_purpose(kind: str, cases: Any = RUNNABLE) -> Any:
    """Go over the cases whose results of this kind are MXNet's."""
    return pytest.mark.parametrize("case_id", [i for i in cases if kind not in differs_in(i)])


def test_every_case_matches_or_differs_on_purpose(say_counts: Any) -> None:
    apart = set(DIFFERS_ON_PURPOSE)
    assert apart <= set(RUNNABLE)
    counts = f"{len(RUNNABLE) - len(apart)} of {len(MANIFEST['cases'])} cases match"
    say_counts("optimizers", f"{counts}, differ on purpose: {', '.join(sorted(apart))}")
    assert len(RUNNABLE) == 480 and len(apart) == 13


@pytest.mark.parametrize("name", ROWS)
def test_how_many_cases_of_each_optimizer_run(name: str) -> None:
    spellings = {name, f"{name}_op", *mx.opt.registry.aliases_of(name)}
    mine = [case for case in MANIFEST["cases"] if case["optimizer"] in spellings]
    assert sum(is_dense(case) for case in mine) == ROWS[name].cases
    assert sum(not is_dense(case) for case in mine) == ROWS[name].row_sparse_cases


@pytest.mark.usefixtures("each_backend")
@not_on_purpose("w")
def test_weights_after_each_step(case_id: str) -> None:
    case, given, run = case_of(case_id)
    for index, weights in run.weights.items():
        assert_close(weights, given.result("w", index), case["tol_plain"])


@every_optimizer_case
def test_rates(case_id: str) -> None:
    """The global rate read after each step, and the rate looked up for each parameter in it."""
    case, given, run = case_of(case_id)
    expected = given.content[f"{case['case']}/lr"]
    np.testing.assert_allclose(run.rates, expected, rtol=1e-12)


@every_optimizer_case
def test_decay_and_counts(case_id: str) -> None:
    case, given, run = case_of(case_id)
    indices = sorted(given.names)
    decays = [run.optimizer._get_wd(index) for index in indices]
    np.testing.assert_allclose(decays, case["param_wd"], rtol=1e-12)
    assert run.num_update == case["num_update_after"]
    counts = [run.optimizer._index_update_count.get(index) for index in indices]
    assert counts == case["final_index_update_count"]


@not_on_purpose("state")
def test_states(case_id: str) -> None:
    case, given, run = case_of(case_id)
    names = case.get("state_names") or []
    for index in sorted(given.names):
        state = run.states[index]
        if run.masters[index] and case["kind"] == "optimizer":
            state = run.optimizer.unpack_master(state)[0]
        flat = flat_arrays(state)
        if case["optimizer"] == "lbsgd":
            del flat[-1]  # the sum of gradients, which MXNet keeps outside its states
        assert len(flat) == len(names)
        for number, array in enumerate(flat):
            assert_close(array, given.result("state", index)[number], case["tol_state"])


@not_on_purpose("master", [i for i, case in RUNNABLE.items() if "tol_master" in case])
def test_masters(case_id: str) -> None:
    case, given, run = case_of(case_id)
    for index, masters in run.masters.items():
        assert_close(masters, given.result("master", index), case["tol_master"])
        assert all(master.dtype == np.float32 for master in masters)
        rounded = np.array(masters).astype(np.float16)
        assert np.array_equal(rounded, run.weights[index])


@pytest.mark.parametrize(
    "case_id", [i for i, case in OPTIMIZER_CASES.items() if case["lr_scheduler"]]
)
def test_base_lr_is_not_moved_by_calls(case_id: str) -> None:
    """Differs on purpose: the reference's base_lr decays, ours stays and the call gives the rate.

    What the reference has in base_lr at the end is what our scheduler answers at the end.
    """
    case, _, run = case_of(case_id)
    scheduler = run.optimizer.lr_scheduler
    given = case["kwargs"].get("learning_rate", run.optimizer.lr)
    if case["optimizer"] == "ftrl":
        given = None
    assert scheduler.base_lr == (
        make_scheduler(case["lr_scheduler"]).base_lr if given is None else given
    )
    at_end = case["scheduler_base_lr_at_end"]
    assert scheduler(run.optimizer.num_update) == pytest.approx(at_end, rel=1e-12)


@every_optimizer_case
def test_a_replaced_base_lr_gives_one_warning(case_id: str) -> None:
    """Differs on purpose: one UserWarning where the reference prints a notice."""
    case = RUNNABLE[case_id]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        make(case)
    texts = [str(warning.message) for warning in caught]
    assert [warning.category for warning in caught] == [UserWarning] * len(texts)
    assert ["replaces the base_lr" in text for text in texts] == (
        [True] if case["prints_lr_overwrite_notice"] else []
    )


@pytest.fixture
def one_by_one(case_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a case that was recorded by direct calls count as these do."""
    case = RUNNABLE[case_id]
    if case["call"] == "direct" and make_quietly(case).aggregate_num:
        monkeypatch.setenv("MXNET_OPTIMIZER_AGGREGATION_SIZE", "1")


@pytest.mark.usefixtures("each_backend", "one_by_one")
@pytest.mark.parametrize("case_id", [i for i in IN_ARENA if "w" not in differs_in(i)])
def test_weights_in_an_arena(case_id: str) -> None:
    """As networks keep them. On a GPU this is what runs in kernels."""
    case = RUNNABLE[case_id]
    given = Parameters(case)
    for index, weights in replay_in_arena(case, sorted(given.names)).items():
        assert_close(weights, given.result("w", index), case["tol_plain"])


@pytest.mark.usefixtures("one_by_one")
@pytest.mark.parametrize("case_id", IN_ARENA)
def test_the_arena_gives_the_same_bits(case_id: str) -> None:
    case, given, run = case_of(case_id)
    orders = [sorted(given.names), sorted(given.names, reverse=True)]
    rng = np.random.default_rng(len(case_id))
    orders.append([int(index) for index in rng.permutation(sorted(given.names))])
    for order in orders:
        found = replay_in_arena(case, order)
        for index, weights in run.weights.items():
            assert np.array_equal(weights, found[index], equal_nan=True)


# -- errors ------------------------------------------------------------------------------------

KINDS: dict[str, type[BaseException]] = {
    "AssertionError": AssertionError,
    "DeprecationWarning": DeprecationWarning,
    "NotImplementedError": NotImplementedError,
    "TypeError": TypeError,
    "UserWarning": UserWarning,
    "ValueError": ValueError,
    "backend error (a RuntimeError subclass)": mx.MXNetError,
}
DEFECT = "MXNet's momentum cannot run; ours does"
REFUSED = "a setting out of range is a ValueError when the optimizer is made"
ANY_DTYPE = "MXNet's states are always float32; ours have the weight's dtype"
# Cases of errors.json, by their number there: what we do instead, and why.
DIFFERENT_ERRORS: dict[int, tuple[type[Exception] | None, str]] = {
    11: (None, DEFECT),
    12: (None, DEFECT),
    14: (ValueError, REFUSED),
    15: (ValueError, REFUSED),
    17: (ValueError, REFUSED),
    18: (ValueError, REFUSED),
    **dict.fromkeys(range(21, 28), (None, ANY_DTYPE)),
}


def run_error_case(case: dict[str, Any]) -> None:
    if case["what"] == "base_update":
        mx.opt.Optimizer().update(0, np.ones(2), np.ones(2), None)
        return
    kwargs = dict(case["kwargs"])
    if "lr_scheduler" in case:
        kwargs["lr_scheduler"] = make_scheduler(case["lr_scheduler"])
    optimizer = mx.opt.create(case["optimizer"], **kwargs)
    if case["what"] == "set_learning_rate":
        optimizer.set_learning_rate(0.5)
    elif case["what"] == "set_lr_scale":
        optimizer.set_lr_scale({})
    elif case["what"] != "create":
        weight = np.ones(case.get("shape", (4, 3)), case.get("dtype", "float32"))
        grad: Any = np.ones_like(weight)
        state = optimizer.create_state(0, weight)
        if case.get("grad") == "row_sparse":
            grad = RowSparseNDArray(grad[:2], [0, 2], weight.shape)
        if case["what"] == "update_shape_mismatch":
            grad = grad[:2]
        elif case["what"] == "update_not_array":
            weight, grad = weight.tolist(), grad.tolist()
        optimizer.update(0, weight, grad, state)


@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_errors(number: int) -> None:
    case = ERRORS[number]
    theirs = KINDS[case["raises"]] if case["raises"] else None
    ours, reason = DIFFERENT_ERRORS.get(number, (theirs, ""))
    assert bool(reason) == (ours is not theirs)
    if ours is None:
        run_error_case(case)
        return
    with pytest.raises(ours) as caught:
        run_error_case(case)
    assert type(caught.value) is not AssertionError
    assert len(str(caught.value)) > 10
    assert reason != REFUSED or "should be" in str(caught.value)


def test_how_many_error_cases_there_are() -> None:
    assert (len(ERRORS), len(DIFFERENT_ERRORS)) == (32, 13)
