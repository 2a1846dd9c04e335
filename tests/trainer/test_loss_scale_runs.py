"""Runs with scaled losses: what they tell, how they go on, and float16."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compare_runs import Watcher
from resume_runs import NETWORK, compare_all, no_disk, resume
from trainer_runs import Notes, recorded, train, write_config

from mxtrain import backend
from mxtrain.checkpoint import run_state
from mxtrain.config import load
from mxtrain.trainer import loss_scale
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.compare.compare import compare
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.loop import Loop

__all__ = ["no_disk"]
DYNAMIC = "fit.loss_scale=dynamic"
HALF = """\
seed: 3
data:
  train: {path: train.csv, label: kind}
  eval: {path: test.csv}
  batch_size: 8
symbol:
  - {op: Cast, name: half, dtype: float16}
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: Cast, name: single, dtype: float32}
  - {op: SoftmaxOutput, name: softmax}
optimizer: {name: sgd, learning_rate: 0.1, momentum: 0.9, multi_precision: true}
fit:
  num_epoch: 3
  metrics: [accuracy, ce]
  loss_scale: dynamic
"""


@pytest.fixture
def wild(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dynamic scale that overflows float32 every few updates."""
    monkeypatch.setattr(loss_scale, "BEGIN", 2.0**127)
    monkeypatch.setattr(loss_scale, "MOST", 2.0**127)
    monkeypatch.setattr(loss_scale, "WINDOW", 3)


def rows_of(folder: Path | str) -> list[dict[str, Any]]:
    lines = Path(folder, "metrics.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.usefixtures("wild")
def test_epochs_tell_scale_and_updates_left_out(tmp_path: Path) -> None:
    notes = Notes()
    result = train(write_config(tmp_path), DYNAMIC, "symbol[3].grad_scale=9", notes=notes)
    rows = rows_of(result.output)
    skipped = [row["skipped_updates"] for row in rows]
    assert min(skipped) >= 1
    assert result.skipped_updates == sum(skipped)
    assert rows[-1]["loss_scale"] == result.loss_scale
    assert notes.info is not None
    assert notes.info.extra_columns == ("loss_scale", "skipped_updates")
    header, *lines = Path(result.output, "metrics.csv").read_text().splitlines()
    names = header.split(",")
    assert names[-4:] == ["loss_scale", "skipped_updates", "samples_per_second", "seconds"]
    assert [int(line.split(",")[-3]) for line in lines] == skipped
    log = Path(result.output, "log.txt").read_text()
    assert f"{sum(skipped)} updates left out" in log
    assert "losses are scaled while gradients are computed: dynamic" in log


def test_other_runs_tell_nothing_of_it(tmp_path: Path) -> None:
    result = train(write_config(tmp_path))
    assert not {"loss_scale", "skipped_updates"} & set(rows_of(result.output)[0])
    assert "loss_scale" not in Path(result.output, "metrics.csv").read_text()
    assert (result.loss_scale, result.skipped_updates) == (None, 0)


@pytest.mark.usefixtures("wild")
def test_a_batch_left_out_moves_no_schedule(tmp_path: Path) -> None:
    notes = Notes()
    schedule = "lr_scheduler={name: factor, step: 10, factor: 0.5}"
    changes = (schedule, DYNAMIC, "symbol[3].grad_scale=9", "fit.num_epoch=6")
    train(write_config(tmp_path), *changes, notes=notes)
    moved = [change for row in notes.rows for change in row.lr_changes]
    skipped = sum(row.extra["skipped_updates"] for row in notes.rows)
    updates = 6 * 7 - skipped
    assert skipped >= 6
    assert [update for update, _ in moved] == list(range(11, updates + 1, 10))


@pytest.mark.usefixtures("wild", "no_disk")
@pytest.mark.parametrize("backend_name", backend.installed())
def test_a_run_goes_on_to_the_same_bits(tmp_path: Path, backend_name: str) -> None:
    """Checkpoints after every second batch: before, between and after overflows."""
    text = NETWORK.replace("every_batches: 5", "every_batches: 2").replace(
        "{op: SoftmaxOutput, name: softmax}", "{op: SoftmaxOutput, name: softmax, grad_scale: 9}"
    )
    assert compare_all(tmp_path, f"backend={backend_name}", DYNAMIC, text=text) == 11
    assert rows_of(tmp_path / "whole")[-1]["skipped_updates"] > 0


def without_scale(state: Path) -> None:
    """Make a state what it was before losses could be scaled."""
    metadata, values = run_state.load(state)
    del values["loop"]["loss_scale"]
    run_state.save(state, metadata, values)


@pytest.mark.usefixtures("no_disk")
def test_a_state_from_before_there_were_scales(tmp_path: Path) -> None:
    config = write_config(tmp_path, NETWORK)
    whole = train(config, output=tmp_path / "whole")
    again = tmp_path / "again"
    shutil.copytree(whole.output, again)
    without_scale(again / "model-0001-batch-0005.safetensors")
    resume(again / "model-0001-batch-0005.safetensors")
    assert recorded(again) == recorded(Path(whole.output))


@pytest.mark.usefixtures("no_disk")
@pytest.mark.parametrize("change", ["fit.loss_scale=dynamic", "fit.loss_scale=null"])
def test_scaling_may_begin_and_end_within_a_run_by_force(tmp_path: Path, change: str) -> None:
    first = () if "dynamic" in change else (DYNAMIC,)
    config = write_config(tmp_path)
    run = train(config, *first).output
    with pytest.raises(SetupError, match=r"fit\.loss_scale: "):
        resume(run, change, "fit.num_epoch=4")
    result = resume(run, change, "fit.num_epoch=4", force=True)
    assert result.status == "done"
    plain = train(config, "fit.num_epoch=4", output=tmp_path / "plain")
    ours, theirs = (rows_of(folder)[-1] for folder in (run, plain.output))
    assert ours["train_loss"] == theirs["train_loss"]
    assert ("loss_scale" in ours) == ("dynamic" in change)


def first_step(folder: Path, *changes: str) -> dict[str, Any]:
    """Return the change of the weights by the first batch."""
    built = build(load(write_config(folder, HALF), ["optimizer.momentum=0", *changes]))
    add_optimizer(built)
    loop = Loop(built)
    executor = built.module.executor
    before = {name: np.array(array, "d") for name, array in executor.arg_dict.items()}
    with np.errstate(all="ignore"):
        loop.train_batch(next(loop.batches.epoch(0)))
    assert loop.gradients.skipped == 0
    return {
        name: np.array(executor.arg_dict[name], "d") - before[name]
        for name in ("fc1_weight", "fc2_weight", "fc2_bias")
    }


def test_gradients_below_the_range_of_float16_survive(tmp_path: Path) -> None:
    small = ("optimizer.learning_rate=1e+9", "symbol[5].grad_scale=1e-8")
    scaled = first_step(tmp_path, *small)
    lost = first_step(tmp_path, *small, "fit.loss_scale=null")
    exact = first_step(tmp_path, *small, "symbol[0].dtype=float32")
    for name, wanted in exact.items():
        largest = np.abs(wanted).max()
        assert np.abs(scaled[name] - wanted).max() / largest < 0.02
        assert np.abs(lost[name] - wanted).max() / largest > 0.3


@pytest.mark.filterwarnings("ignore:a float16 weight loses small updates")
def test_float16_rules_get_gradients_that_are_scaled_back(tmp_path: Path) -> None:
    """1 / 7 / 16384 has few digits as a float16, so it cannot be their rescale_grad."""
    own = ("optimizer.multi_precision=false", "data.batch_size=7")
    plain = first_step(tmp_path, *own, "fit.loss_scale=null")
    scaled = first_step(tmp_path, *own, "fit.loss_scale=16384")
    for name, wanted in plain.items():
        np.testing.assert_allclose(scaled[name], wanted, rtol=1e-3, atol=1e-6)


OWN_LOSS = """\
seed: 3
data: {train: {path: train.csv, label: y}, ignore: [kind], batch_size: 8}
symbol:
  - {op: Variable, name: y_label}
  - {op: Cast, name: target, dtype: float16, inputs: y_label}
  - {op: Cast, name: half, dtype: float16, inputs: data}
  - {op: FullyConnected, name: fc, num_hidden: 1}
  - {op: Reshape, name: flat, shape: [-1]}
  - {op: elemwise_sub, name: difference, inputs: [flat, target]}
  - {op: square, name: squared}
  - {op: MakeLoss, name: loss}
optimizer: {name: sgd, learning_rate: 0.05, multi_precision: true}
fit: {num_epoch: 3, loss_scale: dynamic}
"""


def test_a_loss_of_float16_halves_the_scale_first(tmp_path: Path) -> None:
    """65536 is no float16."""
    result = train(write_config(tmp_path, OWN_LOSS))
    rows = rows_of(result.output)
    assert rows[0]["skipped_updates"] >= 1
    assert rows[-1]["loss_scale"] <= 32768
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]


@pytest.mark.filterwarnings("ignore:a float16 weight loses small updates")
def test_optimizers_are_compared_with_scaled_losses(tmp_path: Path) -> None:
    config = write_config(tmp_path, "threads: 1\n" + HALF)
    chosen = ["sgd", "adam", "lars", "lbsgd", "muon", "ftrl"]
    result = compare(load(config), Watcher(), output=tmp_path / "out", names=chosen)
    assert {row.label.split()[0]: row.status for row in result.rows} == dict.fromkeys(
        chosen, "done"
    )
