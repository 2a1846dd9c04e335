"""Comparisons: equal conditions, survival of what fails, several processes, stops."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare_runs import Watcher, by_label, config, own_config, points, run
from trainer_runs import Notes, recorded

from mxtrain.config import load
from mxtrain.trainer.compare import one, workers
from mxtrain.trainer.compare.report import TrialRow
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.run import fit

__all__ = ["config", "own_config"]  # fixtures

posix = pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals to send")

# -- equal conditions ------------------------------------------------------------------------------


def test_trials_start_from_the_same_weights_and_see_the_same_batches(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[bytes] = []
    batches: list[list[list[int]]] = []
    add, train = one.add_optimizer, Loop.train_batch

    def add_optimizer(built: Any) -> None:
        add(built)
        starts.append(b"".join(np.asarray(a).tobytes() for a in built.module.parameter_arrays()))
        batches.append([])

    def train_batch(self: Loop, batch: Any) -> None:
        batches[-1].append(list(batch.rows))
        train(self, batch)

    monkeypatch.setattr(one, "add_optimizer", add_optimizer)
    monkeypatch.setattr(Loop, "train_batch", train_batch)
    run(config, names=["sgd", "adam", "sgld", "muon"])
    assert len(starts) == 4
    assert len(set(starts)) == 1
    assert len(batches[0]) == 3 * 7
    assert batches[0][:7] != batches[0][7:14]
    assert all(seen == batches[0] for seen in batches)


def test_a_trial_is_what_fit_does(config: Path, tmp_path: Path) -> None:
    result = run(config, names=["adam", "sgd"])
    fit(load(config), Notes(), output=tmp_path / "fit")
    label = "sgd momentum=0.9 0.1"
    found = [
        {f"train_{k}": v for k, v in point["train"].items()}
        | {f"eval_{k}": v for k, v in point["eval"].items()}
        for point in points(result)[label]
    ]
    wanted = [
        {k: v for k, v in row.items() if k.startswith(("train_", "eval_"))}
        for row in recorded(tmp_path / "fit")
    ]
    assert found == wanted


def test_processes_compute_the_same(config: Path, tmp_path: Path) -> None:
    names = ["sgd", "adam", "groupadagrad"]
    alone = run(config, names=names, output=tmp_path / "alone")
    watcher = Watcher()
    together = run(config, names=names, jobs=2, output=tmp_path / "both", watcher=watcher)
    assert points(alone) == points(together)
    assert [(r.label, r.status, r.reason) for r in alone.rows] == [
        (r.label, r.status, r.reason) for r in together.rows
    ]
    assert watcher.told is not None
    assert (watcher.told.jobs, watcher.told.threads) == (2, 1)
    assert not multiprocessing.active_children()


# -- what fails ------------------------------------------------------------------------------------


def test_a_trial_that_fails_ends_alone(own_config: Path) -> None:
    text = "compare.optimizers=[{name: sgd, learning_rate: 1e30}, groupadagrad, broken, adam]"
    rows = by_label(run(own_config, text, "symbol.act1.act_type=relu"))
    assert rows["adam"].status == "done"
    assert rows["adam"].epochs == 3
    assert rows["sgd"].status == "diverged"
    assert "first tensor that is not finite" in rows["sgd"].reason
    assert rows["groupadagrad"].status == "refused"
    assert "updates matrices; parameter 'fc1_bias' has shape (8,)" in rows["groupadagrad"].reason
    assert rows["broken"].status == "failed"
    assert rows["broken"].reason == "ZeroDivisionError: no such luck"
    assert next(iter(rows)) == "adam"


def test_a_loss_that_is_not_finite_after_the_last_batch_is_a_divergence(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Loop, "evaluate", lambda self: {"loss": float("nan"), "accuracy": 0.1})
    (row,) = run(config, "fit.metrics=[accuracy]", names=["adam"]).rows
    assert (row.status, row.reason) == ("diverged", "the eval loss is nan after epoch 1")


def test_nothing_learned_is_a_failure(config: Path) -> None:
    watcher = Watcher()
    result = run(config, names=["groupadagrad"], watcher=watcher)
    assert result.status == "failed"
    assert watcher.ended == result
    assert not Path(result.output, "curves.svg").exists()


@posix
def test_a_process_that_dies_takes_only_its_trial_with_it(own_config: Path) -> None:
    result = run(own_config, names=["deadly", "vanishing", "adam"], jobs=2)
    rows = by_label(result)
    assert rows["deadly"].reason == "its process ended with exit code 3"
    assert "ended by SIGKILL" in rows["vanishing"].reason
    assert (rows["adam"].status, rows["adam"].epochs) == ("done", 3)
    assert not multiprocessing.active_children()


def test_warnings_stand_in_the_row(own_config: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (row,) = run(own_config, names=["worried"]).rows
    assert (row.status, row.warnings) == ("done", ("this never learns",))


def test_what_no_optimizer_could_train_is_said_once(config: Path) -> None:
    with pytest.raises(SetupError, match="cannot measure"):
        run(config, "fit.metrics=[{name: top_k_accuracy, top_k: 9}]", "fit.metrics=[pearsonr]")
    assert not (config.parent / "out").exists()


# -- stops -----------------------------------------------------------------------------------------


class Stopper(Watcher):
    def update(self, row: TrialRow) -> None:
        super().update(row)
        if row.epochs == 2 and row.status == "running" and row.number == 1:
            os.kill(os.getpid(), signal.SIGINT)


@posix
@pytest.mark.parametrize("jobs", [1, 2])
def test_ctrl_c_keeps_the_table_so_far(config: Path, jobs: int) -> None:
    before = signal.getsignal(signal.SIGINT)
    result = run(
        config, "fit.num_epoch=300", names=["sgd", "adam", "nag"], jobs=jobs, watcher=Stopper()
    )
    assert (result.status, result.signal) == ("interrupted", signal.SIGINT)
    rows = {row.number: row for row in result.rows}
    assert rows[1].status == "interrupted"
    assert rows[1].epochs == 2
    assert (rows[2].status, rows[2].epochs) == ("interrupted", 0)
    assert len(points(result)["adam 0.001"]) == 2
    assert Path(result.output, "curves.svg").exists()
    assert signal.getsignal(signal.SIGINT) is before
    assert not multiprocessing.active_children()


def test_an_error_ends_the_processes(config: Path) -> None:
    class Full(Watcher):
        def update(self, row: TrialRow) -> None:
            if row.epochs:
                raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run(config, "fit.num_epoch=300", names=["sgd", "adam"], jobs=2, watcher=Full())
    assert not multiprocessing.active_children()


def test_threads_are_shared_out(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "cores", lambda: 8)
    spec = load(config)
    free = replace(spec, threads=None)
    assert [workers.threads_for(free, jobs) for jobs in (1, 3, 8, 20)] == [None, 2, 1, 1]
    assert workers.threads_for(spec, 4) == 1
    assert workers.threads_for(replace(spec, threads=2), 4) == 2
