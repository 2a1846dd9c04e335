"""Reads and replays the cases of tests/golden/optimizers."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mxtrain as mx
from mxtrain.optimizer import Optimizer
from mxtrain.optimizer.adamw import adamw_update
from mxtrain.sparse import RowSparseNDArray, dense_rows

FOLDER = Path(__file__).parents[1] / "golden" / "optimizers"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
ERRORS = json.loads((FOLDER / "errors.json").read_text())["cases"]


# Cases whose numbers are not MXNet's, on purpose: the reason by id. A case is compared in all but
# the kinds of results named (weights "w", float32 "master", "state"), and these by a test of both
# behaviours in test_optimizer_differences.py.
ZERO_BY_ZERO = "MXNet divides 0 by 0: NaN; here such a weight stays"
RATE_0 = "MXNet divides by the rate: NaN at rate 0; here such an update changes nothing"
HALF_NORMS = (
    "MXNet takes norms of the float16 weight, squares rounded to float16; here the master's"
)
DIFFERS_ON_PURPOSE: dict[str, tuple[str, tuple[str, ...]]] = {
    "adamax/zero_first_step_nan": (ZERO_BY_ZERO, ("w", "state")),
    "adamax/clip_zero": (ZERO_BY_ZERO, ("w", "state")),
    "ftml/mults_index": (RATE_0, ("w", "state")),
    "ftrl/mults_index": (RATE_0, ("w", "state")),
    "lamb/direct_fp16_mp": ("MXNet never stores the master", ("w", "master")),
    "lamb/fp16_mp": (HALF_NORMS, ("master",)),
    "lamb/fp16_mp_norm": (HALF_NORMS, ("master",)),
    "lamb/nobc_fp16_mp": (HALF_NORMS, ("master",)),
    "lars/fp16_mp": (HALF_NORMS, ("master",)),
    "lars/fp16_mp_norm": (HALF_NORMS, ("master",)),
    "lars/mom_fp16_mp": (HALF_NORMS, ("master", "state")),
    "lars/mom_fp16_mp_default": (HALF_NORMS, ("state",)),
    "lbsgd/reused_grad_buffer": (
        "MXNet's first sum refers to the caller's buffer; here gradients are copied",
        ("w",),
    ),
}


def is_dense(case: dict[str, Any]) -> bool:
    parameters = MANIFEST["datasets"][case["dataset"]]["params"]
    return all(parameter["grad"] == "dense" for parameter in parameters)


def differs_in(case_id: str) -> tuple[str, ...]:
    """The kinds of results in which a case differs on purpose."""
    return DIFFERS_ON_PURPOSE[case_id][1] if case_id in DIFFERS_ON_PURPOSE else ()


RUNNABLE = {case["id"]: case for case in MANIFEST["cases"]}
OPTIMIZER_CASES = {i: case for i, case in RUNNABLE.items() if case["kind"] == "optimizer"}


@cache
def arrays(file: str) -> dict[str, Any]:
    with np.load(FOLDER / file) as content:
        return dict(content)


def make_scheduler(given: dict[str, Any] | None) -> Any:
    return given and getattr(mx.lr_scheduler, given["class"])(**given["kwargs"])


def make(case: dict[str, Any]) -> Optimizer:
    """Construct the case's optimizer, with its multipliers."""
    kwargs = dict(case["kwargs"])
    if case["lr_scheduler"]:
        kwargs["lr_scheduler"] = make_scheduler(case["lr_scheduler"])
    if case["param_idx2name"]:
        kwargs["param_idx2name"] = {int(k): v for k, v in case["param_idx2name"].items()}
    made = mx.opt.create(case["optimizer"], **kwargs)
    if "lr_mult" in case:
        made.set_lr_mult(dict(map(tuple, case["lr_mult"])))
    if "wd_mult" in case:
        made.set_wd_mult(dict(map(tuple, case["wd_mult"])))
    return made


def make_quietly(case: dict[str, Any]) -> Optimizer:
    """Construct it without the warning about a replaced base_lr."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*replaces the base_lr")
        return make(case)


class Parameters:
    """Names, weights and gradients of a case, by index."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case, self.content = case, arrays(case["file"])
        self.dataset = MANIFEST["datasets"][case["dataset"]]
        entries = self.dataset["params"]
        self.sparse = {entry["index"] for entry in entries if entry["grad"] == "row_sparse"}
        self.names = {entry["index"]: entry["name"] for entry in entries}
        self.prefix = f"in/{case['dataset']}/{case['dtype']}"

    def weight(self, index: int) -> Any:
        weight = self.content[f"{self.prefix}/w0/{self.names[index]}"].copy()
        if self.names[index] not in self.case.get("weight_stype", {}):
            return weight
        return RowSparseNDArray(weight, np.arange(len(weight)), weight.shape)

    def grad(self, index: int, step: int) -> Any:
        values = self.content[f"{self.prefix}/grad/{self.names[index]}"]
        if index not in self.sparse:
            return values[step].copy()
        rows = self.dataset["rows"][self.names[index]]
        start = sum(map(len, rows[:step]))
        part = values[start : start + len(rows[step])]
        return RowSparseNDArray(part.copy(), rows[step], self.weight(index).shape)

    def result(self, kind: str, index: int) -> Any:
        return self.content[f"{self.case['case']}/{kind}/{self.names[index]}"]

    def updated_in(self, step: int) -> list[int]:
        return self.case["updates"][step] if "updates" in self.case else sorted(self.names)


@dataclass
class Replay:
    """What a replayed case did, step by step."""

    optimizer: Any
    weights: dict[int, list[Any]]
    masters: dict[int, list[Any]]
    rates: list[list[float]] = field(default_factory=list)
    num_update: list[int] = field(default_factory=list)
    states: dict[int, Any] = field(default_factory=dict)


def replay(case: dict[str, Any]) -> Replay:
    """Run a case as it was recorded: through the updater, or directly."""
    return replay_operator(case) if case["kind"] == "adamw_op" else replay_with(case)


def replay_with(case: dict[str, Any], make: Any = make_quietly) -> Replay:
    """Run a case with the optimizer that `make` constructs for it."""
    given, optimizer = Parameters(case), make(case)
    looked_up = watch_rates(optimizer)
    if "sgld" in case["optimizer"]:
        optimizer.draw_noise = Noise(given)
    updater = mx.opt.get_updater(optimizer)
    weights = {index: given.weight(index) for index in given.names}
    run = Replay(optimizer, {i: [] for i in weights}, {i: [] for i in weights})
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="a float16 weight")
        for step in range(case["steps"]):
            indices = given.updated_in(step)
            grads = [given.grad(index, step) for index in indices]
            looked_up.clear()
            if case["call"] == "updater":
                updater(indices, grads, [weights[index] for index in indices])
            else:
                update_directly(updater, indices, grads, weights)
            rates = [looked_up.get(index, np.nan) for index in sorted(weights)]
            run.rates.append([optimizer.learning_rate, *rates])
            run.num_update.append(optimizer.num_update)
            for index, weight in weights.items():
                run.weights[index].append(np.array(dense_rows(weight)))
                if optimizer.has_master(weight) and index in updater.states:
                    master = optimizer.unpack_master(updater.states[index])[1]
                    run.masters[index].append(master.copy())
    run.states = updater.states
    return run


class Noise:
    """Hands out the recorded normal numbers of a parameter, update by update."""

    def __init__(self, given: Parameters) -> None:
        self.given, self.used = given, dict.fromkeys(given.names, 0)

    def __call__(self, index: int, t: int, out: Any) -> None:
        out[...] = self.given.result("noise", index)[self.used[index]].ravel()
        self.used[index] += 1


def replay_operator(case: dict[str, Any]) -> Replay:
    """Run the operator adamw_update on each parameter, from moments of zero."""
    given, kwargs = Parameters(case), dict(case["kwargs"])
    scale = kwargs.pop("rescale_grad")
    scales = scale if isinstance(scale, list) else [scale] * case["steps"]
    weights = {index: given.weight(index) for index in given.names}
    run = Replay(None, {i: [] for i in weights}, {i: [] for i in weights})
    for index, weight in weights.items():
        half = weight.dtype == np.float16
        master = weight.astype(np.float32) if half else None
        mean, var = (np.zeros_like(weight if master is None else master) for _ in range(2))
        for step in range(case["steps"]):
            rescale = np.array([float(scales[step])], np.float32)
            more = kwargs | {"weight32": master}
            adamw_update(weight, given.grad(index, step), mean, var, rescale, **more)
            run.weights[index].append(weight.copy())
            if master is not None:
                run.masters[index].append(master.copy())
        run.states[index] = (mean, var)
    return run


def watch_rates(optimizer: Optimizer) -> dict[int, float]:
    """Note every rate that the optimizer looks up, by index."""
    found: dict[int, float] = {}
    look_up = optimizer._get_lrs

    def noting(indices: Any) -> list[float]:
        rates = look_up(indices)
        found.update(zip(indices, rates, strict=True))
        return rates

    optimizer._get_lrs = noting
    return found


def update_directly(updater: Any, indices: Any, grads: Any, weights: Any) -> None:
    optimizer = updater.optimizer
    for index, grad in zip(indices, grads, strict=True):
        if index not in updater.states:
            state = optimizer.create_state_multi_precision(index, weights[index])
            updater.states[index] = state
        optimizer.update_multi_precision(index, weights[index], grad, updater.states[index])


def replay_in_arena(case: dict[str, Any], order: list[int]) -> dict[int, list[Any]]:
    """Run a case over flat buffers in which the parameters lie in this order, with gaps.

    The buffers are those of the default backend: on a GPU its own kernels update them.
    """
    from mxtrain import backend as backends
    from mxtrain.optimizer.rule import BoundRule, Slot

    given, optimizer = Parameters(case), make_quietly(case)
    starts, end = {}, 3
    for index in order:
        starts[index] = end
        end += given.weight(index).size + 5
    backend, dtype = backends.get(), np.dtype(case["dtype"])
    weight, grad = backend.zeros((end,), dtype), backend.zeros((end,), dtype)
    slots = [Slot(i, starts[i], starts[i] + given.weight(i).size) for i in order]
    for slot in slots:
        weight[slot.start : slot.stop] = given.weight(slot.index).ravel()
    if "sgld" in case["optimizer"]:
        optimizer.draw_noise = Noise(given)
    rule = BoundRule(optimizer, slots, weight, grad)
    found: dict[int, list[Any]] = {index: [] for index in order}
    for step in range(case["steps"]):
        for slot in slots:
            grad[slot.start : slot.stop] = given.grad(slot.index, step).ravel()
        rule.step()
        for slot in slots:
            shape = given.weight(slot.index).shape
            found[slot.index].append(weight[slot.start : slot.stop].reshape(shape).copy())
    return found


def flat_arrays(state: Any) -> list[Any]:
    """The arrays of a state, which may be nested or None."""
    if isinstance(state, (tuple, list)):
        return [array for member in state for array in flat_arrays(member)]
    return [] if state is None else [state]


def assert_close(a: Any, b: Any, tolerance: float) -> None:
    """The tolerance of the golden files: relative to |b| + max |b|, with NaN and inf in place."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    assert a.shape == b.shape
    finite = np.isfinite(b)
    np.testing.assert_array_equal(a[~finite], b[~finite])
    if finite.any():
        scale = np.abs(b[finite]) + np.abs(b[finite]).max()
        scale[scale == 0] = 1
        worst = (np.abs(a[finite] - b[finite]) / scale).max()
        assert worst <= tolerance, f"{worst:.3g} is more than the tolerance {tolerance:g}"
