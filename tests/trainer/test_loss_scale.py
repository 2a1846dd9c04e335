"""Scaling of the loss: the same weights where nothing overflows, no step where something does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from compare_runs import Watcher
from hypothesis import given
from hypothesis import strategies as st
from resume_runs import NETWORK, compare_all, no_disk
from trainer_runs import Notes, write_config

from mxtrain import backend
from mxtrain.backend.numpy import Taken
from mxtrain.config import ConfigErrors, load
from mxtrain.trainer import ahead, loss_scale
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.compare.compare import compare
from mxtrain.trainer.errors import NotFiniteError
from mxtrain.trainer.loop import Loop
from mxtrain.trainer.loss_scale import FIRST, LEAST, MOST, WINDOW, LossScale
from mxtrain.trainer.run import fit

__all__ = ["no_disk"]
HALF = """\
symbol:
  - {op: Cast, name: half, dtype: float16}
  - {op: FullyConnected, name: fc1, num_hidden: 8}
  - {op: Activation, name: act1, act_type: tanh}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: Cast, name: single, dtype: float32}
  - {op: SoftmaxOutput, name: softmax}
"""


def half_text() -> str:
    start, end = NETWORK.index("symbol:"), NETWORK.index("optimizer:")
    return NETWORK[:start] + HALF + NETWORK[end:]


# -- the scale itself ------------------------------------------------------------------------------


def test_without_a_setting_there_is_none() -> None:
    scale = LossScale(None)
    assert (scale.is_on, scale.value, scale.room()) == (False, 1.0, sys.maxsize)


def test_a_number_stays() -> None:
    scale = LossScale(128)
    scale.succeeded(10 * WINDOW)
    assert not scale.overflowed()
    assert (scale.is_on, scale.value, scale.left_out) == (True, 128.0, 0)


def test_a_dynamic_one_doubles_after_updates_in_a_row_and_halves_at_once() -> None:
    scale = LossScale("dynamic")
    scale.succeeded(WINDOW - 1)
    assert (scale.value, scale.room()) == (FIRST, 1)
    scale.succeeded()
    assert (scale.value, scale.room()) == (2 * FIRST, WINDOW)
    scale.succeeded(WINDOW - 1)
    assert scale.overflowed()
    assert (scale.value, scale.room(), scale.left_out) == (FIRST, WINDOW, 1)


@given(st.lists(st.booleans() | st.integers(1, WINDOW), max_size=60))
def test_it_is_a_power_of_two_within_bounds_and_can_be_stored(events: list[bool | int]) -> None:
    scale = LossScale("dynamic")
    for event in events:
        if event is True or event is False:
            can_fall = scale.can_fall()
            assert scale.overflowed() == can_fall
        else:
            scale.succeeded(min(event, scale.room()))
        assert LEAST <= scale.value <= MOST
        assert np.frexp(scale.value)[0] == 0.5
        assert 1 <= scale.room() <= WINDOW
        other = LossScale("dynamic")
        other.set_state(scale.state())
        assert other.state() == scale.state()


def test_at_the_least_nothing_can_be_done() -> None:
    scale = LossScale("dynamic")
    while scale.value > LEAST:
        assert scale.overflowed()
    assert not scale.overflowed()


# -- training --------------------------------------------------------------------------------------


def loop_of(folder: Path, *overrides: str, text: str = NETWORK) -> Loop:
    built = build(load(write_config(folder, text), overrides))
    add_optimizer(built)
    return Loop(built)


def weights(loop: Loop) -> list[np.ndarray]:
    module = loop.built.module
    return [np.array(a) for a in (*module.parameter_arrays(), *module.auxiliary_arrays())]


@pytest.mark.parametrize("side", [n for n in backend.installed() if n != "cupy"])
@pytest.mark.parametrize("scale", ["dynamic", "1024"])
@pytest.mark.parametrize(
    "change",
    [
        "optimizer={name: adam, clip_gradient: 0.02}",
        "optimizer={name: sgd, momentum: 0.9, wd: 0.01}",
        "fit.clip_global_norm=0.05",
        "data.class_weight=balanced",
        "data.last_batch=pad",
    ],
)
def test_a_power_of_two_changes_no_digit(
    tmp_path: Path, side: str, scale: str, change: str
) -> None:
    results = []
    for setting in ("null", scale):
        loop = loop_of(tmp_path, f"backend={side}", change, f"fit.loss_scale={setting}")
        for epoch in range(2):
            loop.train_epoch(epoch)
        results.append((weights(loop), loop.train_measure.values()))
    for one, other in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_array_equal(one, other)
    assert results[0][1] == results[1][1]


@pytest.fixture
def overflows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A scale that float32 gradients overflow with now and then, not float16 ones alone."""
    monkeypatch.setattr(loss_scale, "FIRST", 2.0**130)
    monkeypatch.setattr(loss_scale, "MOST", 2.0**129)
    monkeypatch.setattr(loss_scale, "WINDOW", 4)
    yield


@pytest.mark.usefixtures("overflows")
@pytest.mark.parametrize("change", ["optimizer={name: adam}", "data.last_batch=pad"])
def test_updates_left_out_within_a_call_are_those_of_single_batches(
    tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba", reason="only compiled steps run in one call")
    lengths = []
    run = ahead.Ahead.run

    def counted(self: ahead.Ahead, batches: object) -> Taken:
        lengths.append(run(self, batches))  # type: ignore[arg-type]
        return lengths[-1]

    results = []
    for together in (counted, lambda self, batches: Taken(0, False)):
        with monkeypatch.context() as patch:
            patch.setattr(ahead.Ahead, "run", together)
            loop = loop_of(tmp_path, "backend=numba", change, "fit.loss_scale=dynamic")
            for epoch in range(4):
                loop.train_epoch(epoch)
            state = loop.scale.state(), loop.built.module.optimizer.num_update
            steps = dict(loop.built.module.random.steps)
            results.append((weights(loop), loop.train_measure.values(), state, steps))
    assert any(taken.overflowed for taken in lengths)
    assert any(taken.steps > 1 for taken in lengths)
    for one, other in zip(results[0][0], results[1][0], strict=True):
        np.testing.assert_array_equal(one, other)
        assert np.isfinite(one).all()
    assert results[0][1:] == results[1][1:]


@pytest.mark.usefixtures("overflows")
def test_an_update_left_out_changes_neither_weights_nor_counts(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, "fit.loss_scale=dynamic")
    parameters = loop.built.module.get_params()[0]
    before, coming = {n: np.array(a) for n, a in parameters.items()}, loop.batches.epoch(0)
    with np.errstate(all="ignore"):
        loop.train_batch(next(coming))
    assert loop.scale.left_out == 1
    assert loop.built.module.optimizer.num_update == 0
    for name, array in loop.built.module.get_params()[0].items():
        np.testing.assert_array_equal(array, before[name])
    loop.train_measure.flush()
    assert np.isfinite(loop.train_measure.values()["loss"])


@pytest.mark.usefixtures("overflows", "no_disk")
@pytest.mark.parametrize("side", [n for n in backend.installed() if n != "cupy"])
def test_a_resumed_run_leaves_out_the_same_updates(tmp_path: Path, side: str) -> None:
    changes = (f"backend={side}", "fit.loss_scale=dynamic", "fit.checkpoint.every_batches=3")
    assert compare_all(tmp_path, *changes) >= 6


@pytest.mark.usefixtures("overflows")
def test_every_epoch_tells_what_was_left_out(tmp_path: Path) -> None:
    notes = Notes()
    config = write_config(tmp_path, NETWORK)
    result = fit(load(config, ["fit.loss_scale=dynamic"]), notes, output=tmp_path / "run")
    assert result.status == "done", result.reason
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert rows[0]["left_out"] > 1
    assert all(np.frexp(row["loss_scale"])[0] == 0.5 for row in rows)
    log = (tmp_path / "run/log.txt").read_text()
    assert f"epoch 1: {rows[0]['left_out']} updates left out, since the gradient was not" in log


def test_without_a_scale_no_row_has_one(tmp_path: Path) -> None:
    config = write_config(tmp_path, NETWORK)
    fit(load(config), Notes(), output=tmp_path / "run")
    assert "loss_scale" not in (tmp_path / "run/metrics.jsonl").read_text()


@pytest.mark.parametrize("norm", [(), ("fit.clip_global_norm=1.0",)])
def test_a_number_that_overflows_ends_the_run_before_its_update(
    tmp_path: Path, norm: tuple[str, ...]
) -> None:
    loop = loop_of(tmp_path, "fit.loss_scale=1.0e+39", *norm)
    before = weights(loop)
    with pytest.raises(NotFiniteError, match="gradient became NaN or infinite in epoch 1, batch 1"):
        loop.train_epoch(0)
    for one, other in zip(weights(loop), before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_half_precision_learns_what_vanishes_without_a_scale(tmp_path: Path) -> None:
    """Gradients below the least number of float16 are lost, unless they are scaled first."""
    small = "symbol[5]={op: SoftmaxOutput, name: softmax, grad_scale: 1.0e-8}"
    moved = []
    for scale in ("null", "dynamic"):
        changes = (small, "optimizer={name: sgd, learning_rate: 1.0e+7, multi_precision: true}")
        loop = loop_of(tmp_path, *changes, f"fit.loss_scale={scale}", text=half_text())
        before = loop.built.module.get_params()[0]["fc1_weight"].asnumpy()
        loop.train_epoch(0)
        after = loop.built.module.get_params()[0]["fc1_weight"].asnumpy()
        moved.append(float(np.abs(after - before).max()))
    assert moved[0] == 0
    assert moved[1] > 0.01


@pytest.mark.parametrize("wrong", ["0", "-1", "dynamik", "true"])
def test_what_is_no_scale_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(ConfigErrors, match="loss_scale"):
        load(write_config(tmp_path, NETWORK), [f"fit.loss_scale={wrong}"])


@pytest.mark.usefixtures("overflows")
def test_a_comparison_scales_the_losses_of_every_trial(tmp_path: Path) -> None:
    config = write_config(tmp_path, "threads: 1\n" + NETWORK)
    changes = ["compare={optimizers: [sgd, adam], rates: [0.1, 0.01]}", "fit.loss_scale=dynamic"]
    result = compare(load(config, changes), Watcher(), output=tmp_path / "out")
    assert [row.status for row in result.rows] == ["done"] * 4
