"""Scaled losses on the stand-in for a CUDA device: overflows within captured steps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from host_device import COMPILER, HostDevice

from mxtrain.config import load
from mxtrain.trainer import ahead, loss_scale
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.errors import NotFiniteError
from mxtrain.trainer.loop import Loop

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler for the stand-in")
NETWORK = """\
seed: 3
backend: cupy
data: {train: {path: rows.npz, label: label}, batch_size: 4}
symbol:
  - {op: FullyConnected, num_hidden: 6, no_bias: true}
  - {op: BatchNorm, fix_gamma: false}
  - {op: Dropout, p: 0.3}
  - {op: FullyConnected, name: last, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax, grad_scale: 9}
optimizer: {name: adam, learning_rate: 0.05}
fit: {num_epoch: 3, metrics: [accuracy, ce]}
"""
# The output is the buffer that a product writes: nothing may come to it after an overflow.
REGRESSION = """\
seed: 3
backend: cupy
data: {train: {path: rows.npz, label: value}, batch_size: 4}
symbol:
  - {op: FullyConnected, num_hidden: 6}
  - {op: Activation, act_type: tanh}
  - {op: FullyConnected, name: last, num_hidden: 2}
  - {op: LinearRegressionOutput, name: out, grad_scale: 9}
fit: {num_epoch: 3, metrics: [mse]}
"""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What came of each call of several steps."""
    found: list[Any] = []
    run = ahead.Ahead.run

    def noted(self: ahead.Ahead, batches: Any) -> Any:
        found.append(run(self, batches))
        return found[-1]

    monkeypatch.setattr(ahead.Ahead, "run", noted)
    return found


def loop_of(folder: Path, text: str, *overrides: str) -> Loop:
    random = np.random.default_rng(0)
    data, value = (random.standard_normal((90, width)).astype("f") for width in (5, 2))
    np.savez(folder / "rows.npz", data=data, label=np.arange(90) % 3, value=value)
    path = folder / "config.yaml"
    path.write_text(text)
    built = build(load(path, overrides))
    add_optimizer(built)
    return Loop(built)


def snapshot(loop: Loop) -> str:
    module = loop.built.module
    arrays = [*module.parameter_arrays(), *module.auxiliary_arrays()]
    bits = [np.array(array).tobytes() for array in arrays]
    return str((bits, module.optimizer_state(), dict(module.random.steps), loop.gradients.state()))


def trained(loop: Loop) -> tuple[str, list[dict[str, float]]]:
    values = []
    for epoch in range(3):
        loop.train_epoch(epoch)
        values.append(loop.train_measure.values())
    return snapshot(loop), values


@pytest.mark.parametrize("text", [NETWORK, REGRESSION], ids=["classes", "values"])
def test_overflows_within_captured_steps_give_the_bits_of_single_ones(
    tmp_path: Path,
    device: HostDevice,
    text: str,
    calls: list[Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(loss_scale, "BEGIN", 2.0**127)
    monkeypatch.setattr(loss_scale, "MOST", 2.0**127)
    monkeypatch.setattr(loss_scale, "WINDOW", 3)
    monkeypatch.setattr(ahead, "FIRST_GUESS", 1e-4)
    loop = loop_of(tmp_path, text, "fit.loss_scale=dynamic")
    mine = trained(loop)
    assert sum(taken.overflowed for taken in calls) >= 3
    assert max(taken.steps for taken in calls) > 1
    with monkeypatch.context() as patch:
        patch.setattr(ahead.Ahead, "run", lambda self, batches: ahead.NONE)
        assert trained(loop_of(tmp_path, text, "fit.loss_scale=dynamic")) == mine


def test_a_power_of_two_changes_no_bit(tmp_path: Path, device: HostDevice) -> None:
    _, values = trained(loop_of(tmp_path, NETWORK))
    loop = loop_of(tmp_path, NETWORK, "fit.loss_scale=1024")
    assert trained(loop)[1] == values
    assert device.replays


def test_a_fixed_scale_that_overflows_takes_its_batch_back(
    tmp_path: Path, device: HostDevice, calls: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "FIRST_GUESS", 1e-4)
    overrides = ("fit.loss_scale=3.0e+37", "data.shuffle=false", "symbol[3].no_bias=false")
    loop, other = (loop_of(tmp_path, NETWORK, *overrides) for _ in range(2))
    for one in (loop, other):
        one.built.module.executor.arg_dict["last_bias"][...] = [80, 0, 0]
        labels = one.built.data.train.labels[0]
        labels[:] = 0
        labels[8:12] = 1  # what the network is sure not to see
    with pytest.raises(NotFiniteError, match=r"gradient became .* epoch 1, batch 3"):
        loop.train_epoch(0)
    assert calls[-1] == (2, True)
    coming = other.batches.epoch(0)
    with np.errstate(all="ignore"):
        for _ in range(2):
            other.train_batch(next(coming))
    assert snapshot(loop) == snapshot(other)
