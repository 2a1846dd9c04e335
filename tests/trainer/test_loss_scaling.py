"""Training with scaled losses: the same numbers, updates left out, and the end where nothing helps.

A float32 network overflows where its scale is near the end of float32's range.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import CONFIG, write_config

from mxtrain import backend
from mxtrain.config import load
from mxtrain.trainer import ahead, loss_scale
from mxtrain.trainer.batches import Batch
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.errors import NotFiniteError
from mxtrain.trainer.loop import Loop

NORMED = "symbol[1]={op: BatchNorm, name: bn1, fix_gamma: false}"
DYNAMIC = "fit.loss_scale=dynamic"


@pytest.fixture
def wild(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dynamic scale that overflows float32 every few updates."""
    monkeypatch.setattr(loss_scale, "BEGIN", 2.0**127)
    monkeypatch.setattr(loss_scale, "MOST", 2.0**127)
    monkeypatch.setattr(loss_scale, "WINDOW", 3)


def loop_of(folder: Path, *overrides: str, text: str = CONFIG) -> Loop:
    built = build(load(write_config(folder, text), overrides))
    add_optimizer(built)
    return Loop(built)


def snapshot(loop: Loop) -> str:
    """Everything that a run goes on from, but for the scale."""
    module = loop.built.module
    arrays = [*module.parameter_arrays(), *module.auxiliary_arrays()]
    bits = [np.asarray(array).tobytes() for array in arrays]
    return str((bits, str(module.optimizer_state()), dict(module.random.steps)))


def trained(loop: Loop, epochs: int = 3) -> tuple[str, list[dict[str, float]]]:
    values = []
    for epoch in range(epochs):
        loop.train_epoch(epoch)
        values.append(loop.train_measure.values())
    return snapshot(loop), values


@pytest.mark.parametrize("backend_name", backend.installed())
@pytest.mark.parametrize("scale", ["dynamic", "4096", "0.25"])
@pytest.mark.parametrize(
    "overrides",
    [
        ("optimizer={name: sgd, learning_rate: 0.1, momentum: 0.9, wd: 0.01}",),
        ("optimizer={name: adam, clip_gradient: 0.01}",),
        ("fit.clip_global_norm=0.05",),
        ("data.class_weight={oak: 3, ash: 0.5}",),
        ("optimizer=lars",),
        ("optimizer={name: lbsgd, batch_scale: 2, warmup_strategy: linear}",),
        ("optimizer=muon",),
        ("optimizer={name: signum, momentum: 0}",),
        ("symbol[3].grad_scale=0.3", "symbol[1]={op: Dropout, name: drop1, p: 0.3}"),
    ],
    ids=lambda overrides: overrides[0].partition("=")[2],
)
def test_powers_of_two_change_no_bit(
    tmp_path: Path, overrides: tuple[str, ...], scale: str, backend_name: str
) -> None:
    name = f"backend={backend_name}"
    plain = trained(loop_of(tmp_path, name, *overrides))
    loop = loop_of(tmp_path, name, *overrides, f"fit.loss_scale={scale}")
    assert trained(loop) == plain
    assert loop.gradients.skipped == 0


def test_every_loss_is_scaled_inside_the_network_too(tmp_path: Path) -> None:
    text = CONFIG.replace(
        "  - {op: Activation, name: act1, act_type: tanh}\n",
        "  - {op: make_loss, name: inner}\n  - {op: Activation, name: act1, act_type: tanh}\n",
    )
    plain = trained(loop_of(tmp_path, text=text))
    assert trained(loop_of(tmp_path, DYNAMIC, text=text)) == plain


def overflowing(loop: Loop, factor: float = np.inf) -> Loop:
    """Let every gradient overflow at the losses."""
    scale = loop.gradients.scale
    assert scale is not None
    scale.value = factor
    return loop


def test_an_update_is_left_out_where_a_gradient_overflows(tmp_path: Path) -> None:
    loop = loop_of(tmp_path, DYNAMIC, "optimizer=adam", NORMED)
    module, before = loop.built.module, snapshot(loop)
    averages = [np.array(array) for array in module.auxiliary_arrays()]
    overflowing(loop)
    with np.errstate(all="ignore"):
        loop.train_batch(Batch(np.arange(8)))
    assert (loop.gradients.skipped, loop.gradients.skipped_in_epoch) == (1, 1)
    assert module.optimizer.num_update == 0
    assert loop.train_measure._batches == 1
    moved = [np.array(array) for array in module.auxiliary_arrays()]
    assert all(not np.array_equal(now, old) for now, old in zip(moved, averages, strict=True))
    for array, old in zip(module.auxiliary_arrays(), averages, strict=True):
        array[...] = old
    module.random.steps[True] -= 1
    assert snapshot(loop) == before


@pytest.mark.parametrize("backend_name", backend.installed())
@pytest.mark.parametrize("layer", [NORMED, "symbol[1].act_type=relu"])
@pytest.mark.parametrize("scale", ["3.0e+38", "dynamic"])
def test_where_no_lower_scale_is_left_everything_is_as_before_the_batch(
    tmp_path: Path, scale: str, layer: str, backend_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network is sure of a class that the rows of the third batch are not of."""
    monkeypatch.setattr(loss_scale, "LEAST", 3.0e38)
    monkeypatch.setattr(loss_scale, "BEGIN", 3.0e38)
    overrides = (f"fit.loss_scale={scale}", layer, "data.shuffle=false", f"backend={backend_name}")
    loop, other = (loop_of(tmp_path, *overrides) for _ in range(2))
    for one in (loop, other):
        one.built.module.executor.arg_dict["fc2_bias"][...] = [80, 0, 0]
        labels = one.built.data.train.labels[0]
        labels[:] = 0
        labels[16:24] = 1
    with pytest.raises(NotFiniteError, match=r"gradient became .* epoch 1, batch 3") as caught:
        loop.train_epoch(0)
    assert ("a smaller fit.loss_scale" in str(caught.value)) == (scale != "dynamic")
    coming = other.batches.epoch(0)
    with np.errstate(all="ignore"):
        for _ in range(2):
            other.train_batch(next(coming))
    assert snapshot(loop) == snapshot(other)
    assert loop.batches_done == 2


def singly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead.Ahead, "length", lambda self, limit: 1)
    monkeypatch.setattr(ahead.Ahead, "run", lambda self, batches: ahead.NONE)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """What came of each call of several steps."""
    found: list[Any] = []
    run = ahead.Ahead.run

    def noted(self: ahead.Ahead, batches: Any) -> Any:
        found.append(run(self, batches))
        return found[-1]

    monkeypatch.setattr(ahead.Ahead, "run", noted)
    yield found


@pytest.mark.usefixtures("wild")
@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("optimizer={name: adam, wd: 0.01}",),
        ("symbol[1]={op: Dropout, name: act1, p: 0.5}",),
        ("symbol[1]={op: BatchNorm, name: act1}",),
        ("lr_scheduler={name: factor, step: 3, factor: 0.5}",),
        ("data.last_batch=pad",),
    ],
)
def test_overflows_within_calls_give_the_bits_of_single_steps(
    tmp_path: Path,
    overrides: tuple[str, ...],
    calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("numba", reason="only compiled steps run in one call")
    changes = ("backend=numba", "data.batch_size=4", "symbol[3].grad_scale=9", DYNAMIC, *overrides)
    loop = loop_of(tmp_path, *changes)
    mine = trained(loop)
    assert sum(taken.overflowed for taken in calls) >= 3
    assert max(taken.steps for taken in calls) > 1
    assert max(taken.steps for taken in calls) <= loss_scale.WINDOW
    with monkeypatch.context() as patch:
        singly(patch)
        other = loop_of(tmp_path, *changes)
        assert trained(other) == mine
    assert other.state()["loss_scale"] == loop.state()["loss_scale"]
    assert loop.gradients.skipped >= 3
    assert loop.built.module.optimizer.num_update == 3 * 13 - loop.gradients.skipped


@pytest.mark.usefixtures("wild")
def test_scales_that_overflow_still_learn_what_others_do(tmp_path: Path) -> None:
    """Left-out updates aside, a step is that of an unscaled run on the same batch."""
    loop, plain = loop_of(tmp_path, DYNAMIC), loop_of(tmp_path)
    with np.errstate(all="ignore"):
        for batch in loop.batches.epoch(0):
            before = loop.gradients.skipped
            loop.train_batch(batch)
            if loop.gradients.skipped == before:
                plain.train_batch(batch)
    assert loop.gradients.skipped > 0
    for one, other in zip(
        loop.built.module.parameter_arrays(), plain.built.module.parameter_arrays(), strict=True
    ):
        np.testing.assert_array_equal(one, other)
