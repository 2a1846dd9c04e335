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

FOLDER = Path(__file__).parents[1] / "golden" / "optimizers"
MANIFEST = json.loads((FOLDER / "manifest.json").read_text())
ERRORS = json.loads((FOLDER / "errors.json").read_text())["cases"]


def is_dense(case: dict[str, Any]) -> bool:
    parameters = MANIFEST["datasets"][case["dataset"]]["params"]
    return all(parameter["grad"] == "dense" for parameter in parameters)


def why_not(case: dict[str, Any]) -> str | None:
    """Why a case cannot run yet."""
    if case["kind"] != "optimizer":
        return f"operator not yet there: {case['kind']}"
    if case["optimizer"] not in mx.opt.registry:
        return f"optimizer not yet there: {case['optimizer']}"
    return None if is_dense(case) else "row-sparse gradients not yet there"


RUNNABLE = {case["id"]: case for case in MANIFEST["cases"] if why_not(case) is None}


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
        entries = MANIFEST["datasets"][case["dataset"]]["params"]
        self.names = {entry["index"]: entry["name"] for entry in entries}
        self.prefix = f"in/{case['dataset']}/{case['dtype']}"

    def weight(self, index: int) -> Any:
        return self.content[f"{self.prefix}/w0/{self.names[index]}"].copy()

    def grad(self, index: int, step: int) -> Any:
        return self.content[f"{self.prefix}/grad/{self.names[index]}"][step].copy()

    def result(self, kind: str, index: int) -> Any:
        return self.content[f"{self.case['case']}/{kind}/{self.names[index]}"]

    def updated_in(self, step: int) -> list[int]:
        return self.case["updates"][step] if "updates" in self.case else sorted(self.names)


@dataclass
class Replay:
    """What a replayed case did, step by step."""

    optimizer: Optimizer
    weights: dict[int, list[Any]]
    masters: dict[int, list[Any]]
    rates: list[list[float]] = field(default_factory=list)
    num_update: list[int] = field(default_factory=list)
    states: dict[int, Any] = field(default_factory=dict)


def replay(case: dict[str, Any]) -> Replay:
    """Run a case as it was recorded: through the updater, or directly."""
    given, optimizer = Parameters(case), make_quietly(case)
    looked_up = watch_rates(optimizer)
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
                run.weights[index].append(weight.copy())
                if optimizer.has_master(weight) and index in updater.states:
                    master = optimizer.unpack_master(updater.states[index])[1]
                    run.masters[index].append(master.copy())
    run.states = updater.states
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
    """Run a case over flat buffers in which the parameters lie in this order, with gaps."""
    from mxtrain.optimizer.rule import BoundRule, Slot

    given, optimizer = Parameters(case), make_quietly(case)
    starts, end = {}, 3
    for index in order:
        starts[index] = end
        end += given.weight(index).size + 5
    weight, grad = np.zeros(end, case["dtype"]), np.zeros(end, case["dtype"])
    slots = [Slot(i, starts[i], starts[i] + given.weight(i).size) for i in order]
    for slot in slots:
        weight[slot.start : slot.stop] = given.weight(slot.index).ravel()
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
