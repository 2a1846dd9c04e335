"""The best epoch: which it is, when a run stops, and whose weights it ends with."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import Notes, train, weights, write_config

from mxtrain.config import load
from mxtrain.config.spec import Component, EarlyStoppingSpec, FitSpec
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import build
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.metrics import make_metrics
from mxtrain.trainer.outputs import heads_of


class Weights:
    """Stands for a module whose only weight is the number of the epoch."""

    def __init__(self) -> None:
        self.array = np.zeros(1)

    def parameter_arrays(self) -> list[Any]:
        return [self.array]

    def mark_changed(self) -> None:
        pass


def best_of(
    values: list[float], metric: str = "accuracy", has_eval: bool = True, **stopping: Any
) -> tuple[Best, list[bool], int, Weights]:
    """Follow values; return the follower, which were the best, and the epoch it stopped at."""
    import mxtrain as mx

    heads = heads_of(mx.sym.SoftmaxOutput(mx.sym.Variable("data"), name="softmax"))
    components = (Component("accuracy"), Component("topkaccuracy", {"top_k": 2}))
    spec = EarlyStoppingSpec(metric=metric, **stopping) if stopping else None
    fit = FitSpec(metrics=components, early_stopping=spec)
    module = Weights()
    best = Best(fit, make_metrics(components, heads), has_eval)
    marks: list[bool] = []
    for epoch, value in enumerate(values, start=1):
        module.array[0] = epoch
        seen = dict.fromkeys(("loss", "accuracy", "top_k_accuracy_2"), value)
        marks.append(best.see(epoch, seen, seen if has_eval else {}, module))  # type: ignore[arg-type]  # a stand-in
        if best.should_stop:
            return best, marks, epoch, module
    return best, marks, 0, module


def test_higher_accuracy_and_lower_loss_are_better() -> None:
    best, marks, _, _ = best_of([0.5, 0.7, 0.6, 0.7, 0.8])
    assert (best.epoch, best.value, best.name) == (5, 0.8, "eval_accuracy")
    assert marks == [True, True, False, False, True]
    best, marks, _, _ = best_of([0.5, 0.7, 0.4], metric="loss", patience=9)
    assert (best.epoch, best.name) == (3, "eval_loss")
    assert marks == [True, False, True]


@pytest.mark.parametrize("name", ["acc", "Accuracy", "accuracy"])
def test_a_metric_may_be_named_in_any_way(name: str) -> None:
    assert best_of([0.1], metric=name.lower(), patience=1)[0].name == "eval_accuracy"


@pytest.mark.parametrize("name", ["top_k_accuracy", "top_k_acc", "topkaccuracy"])
def test_a_metric_with_a_number_in_its_name(name: str) -> None:
    best, marks, _, _ = best_of([0.1, 0.3, 0.2], metric=name, patience=9)
    assert best.name == "eval_top_k_accuracy_2"
    assert marks == [True, True, False]


def test_an_unknown_metric_is_an_error() -> None:
    with pytest.raises(SetupError, match="unknown metric 'rmse'"):
        best_of([0.1], metric="rmse", patience=1)


def test_without_eval_rows_it_is_the_training_value() -> None:
    assert best_of([0.1], has_eval=False)[0].name == "train_accuracy"


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "stop", "best"),
    [
        ([0.5, 0.4, 0.3], 2, 0.0, 3, 1),
        ([0.5, 0.5, 0.5], 2, 0.0, 3, 1),
        ([0.5, 0.4, 0.6, 0.4, 0.3], 2, 0.0, 5, 3),
        ([0.5, 0.51, 0.52, 0.53], 2, 0.1, 3, 3),
        ([0.5, 0.58, 0.66, 0.74], 2, 0.1, 0, 4),
        ([math.nan, math.nan], 2, 0.0, 2, None),
        ([math.nan, 0.5, 0.4], 2, 0.0, 0, 2),
    ],
)
def test_patience_and_min_delta(
    values: list[float], patience: int, min_delta: float, stop: int, best: int | None
) -> None:
    follower, _, stopped, module = best_of(values, patience=patience, min_delta=min_delta)
    assert (stopped, follower.epoch) == (stop, best)
    if stop and min_delta:
        assert follower.stopping_reason == "eval accuracy has not improved by 0.1 for 2 epochs"
    follower.restore(module)  # type: ignore[arg-type]  # a stand-in
    assert module.array[0] == (best if best is not None else len(values))


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


STOPPING = "fit.early_stopping={metric: accuracy, patience: 2}"


def test_the_run_ends_with_the_weights_of_its_best_epoch(config: Path) -> None:
    notes = Notes()
    result = train(config, STOPPING, "fit.num_epoch=50", notes=notes)
    values = [row.eval["accuracy"] for row in notes.rows]
    best = values.index(max(values)) + 1
    assert result.status == "stopped early"
    assert len(values) == best + 2
    assert (result.best_epoch, result.best_metric) == (best, "eval_accuracy")
    assert result.best_value == max(values)
    assert result.reason == f"eval accuracy has not improved since epoch {best}"
    assert result.restored
    assert result.weights == result.best_weights == f"model-{best:04d}.params"
    assert [row.epoch for row in notes.rows if row.best][-1] == best


def test_the_best_weights_are_restored_without_an_early_stop_too(config: Path) -> None:
    whole = train(config, "fit.num_epoch=2", output=config.parent / "whole")
    result = train(config, STOPPING, "fit.num_epoch=2", output=config.parent / "run")
    assert result.status == "done"
    assert result.restored
    assert result.weights == f"model-{result.best_epoch:04d}.params"
    same = weights(whole.output, result.weights), weights(result.output, result.weights)
    assert all(np.array_equal(same[0][name], same[1][name]) for name in same[0])


def test_the_module_itself_has_the_best_weights(config: Path) -> None:
    from mxtrain.trainer.build import add_optimizer
    from mxtrain.trainer.loop import Loop

    built = build(load(config, [STOPPING]))
    add_optimizer(built)
    loop = Loop(built)
    best = Best(built.spec.fit, loop.eval_measure.metrics, has_eval=True)
    loop.train_epoch(0)
    values = loop.evaluate()
    assert best.see(1, loop.train_measure.values(), values, built.module)
    loop.train_epoch(1)
    assert loop.evaluate() != values
    best.restore(built.module)
    assert loop.evaluate() == values


def test_the_best_weights_stay_though_few_are_kept(config: Path) -> None:
    result = train(config, STOPPING, "fit.num_epoch=50", "fit.checkpoint={every: 1, keep: 1}")
    kept = [name for name in result.files if name.endswith(".params")]
    assert kept == [result.best_weights, f"model-{result.epochs:04d}.params"]
