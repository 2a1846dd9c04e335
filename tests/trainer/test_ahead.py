"""Several batches in one compiled call: what one batch after the other gives, to the bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("numba", reason="only compiled steps run in one call")

from resume_runs import compare_all, no_disk
from trainer_runs import CONFIG, write_config

from mxtrain.backend.numpy import Taken
from mxtrain.config import load
from mxtrain.optimizer import subnormals
from mxtrain.trainer import ahead
from mxtrain.trainer.build import add_optimizer, build
from mxtrain.trainer.errors import NotFiniteError
from mxtrain.trainer.loop import Loop

__all__ = ["no_disk"]
NETWORK = CONFIG.replace("seed: 3", "seed: 3\nbackend: numba")
REGRESSION = """\
seed: 3
backend: numba
data: {train: {path: train.csv, label: y}, ignore: [kind], batch_size: 7}
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 1}
  - {op: LinearRegressionOutput, name: out}
optimizer: {name: adam, learning_rate: 0.05}
fit: {num_epoch: 3, metrics: [mse]}
"""


def loop_of(folder: Path, text: str, *overrides: str) -> Loop:
    built = build(load(write_config(folder, text), overrides))
    add_optimizer(built)
    return Loop(built)


def trained(loop: Loop, epochs: int = 2) -> tuple[list[np.ndarray], list[dict[str, float]]]:
    values = []
    for epoch in range(epochs):
        loop.train_epoch(epoch)
        values.append(loop.train_measure.values())
    return [np.array(array) for array in loop.built.module.parameter_arrays()], values


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many batches each call learned from."""
    lengths: list[int] = []
    run = ahead.Ahead.run

    def counted(self: ahead.Ahead, batches: Any) -> Taken:
        taken = run(self, batches)
        lengths.append(taken.steps)
        return taken

    monkeypatch.setattr(ahead.Ahead, "run", counted)
    return lengths


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("data.last_batch=pad",),
        ("data.last_batch=roll_over",),
        ("data.shuffle=false",),
        ("optimizer={name: adam, wd: 0.01}",),
        ("optimizer={name: nag, momentum: 0.5, clip_gradient: 0.1}",),
        ("lr_scheduler={name: factor, step: 3, factor: 0.5}",),
        ("lr_scheduler={name: cosine, max_update: 12, warmup_steps: 3}",),
        ("symbol[1]={op: Dropout, name: act1, p: 0.5}",),
    ],
)
@pytest.mark.parametrize("every", [256, 3])
def test_bits_are_those_of_one_batch_after_the_other(
    tmp_path: Path,
    overrides: tuple[str, ...],
    every: int,
    calls: list[int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subnormals, "EVERY", every)
    loop = loop_of(tmp_path, NETWORK, *overrides)
    weights, values = trained(loop)
    assert max(calls) > 1
    with monkeypatch.context() as patch:
        patch.setattr(ahead.Ahead, "length", lambda self, limit: 1)
        patch.setattr(ahead.Ahead, "run", lambda self, batches: ahead.NONE)
        other = loop_of(tmp_path, NETWORK, *overrides)
        one_by_one, values_one_by_one = trained(other)
    for array, wanted in zip(weights, one_by_one, strict=True):
        np.testing.assert_array_equal(array, wanted)
    assert values == values_one_by_one
    states = [one.built.module.optimizer_state() for one in (loop, other)]
    assert str(states[0]) == str(states[1])
    assert loop.built.module.random.steps == other.built.module.random.steps


def test_a_regression_too(tmp_path: Path, calls: list[int]) -> None:
    weights, values = trained(loop_of(tmp_path, REGRESSION), 3)
    assert max(calls) > 1
    numpys, theirs = trained(loop_of(tmp_path, REGRESSION, "backend=numpy"), 3)
    # NumPy computes a product with a single column in another order.
    for array, wanted in zip(weights, numpys, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-6)
    for value, wanted_value in zip(values, theirs, strict=True):
        assert value == pytest.approx(wanted_value, rel=1e-5)


@pytest.mark.parametrize(
    "override",
    [
        "backend=numpy",
        "fit.clip_global_norm=1",
        "data.class_weight=balanced",
        "optimizer={name: lamb}",
        "optimizer={name: sgld}",
    ],
)
def test_what_cannot_be_done_at_once_is_done_one_by_one(
    tmp_path: Path, override: str, calls: list[int]
) -> None:
    _, values = trained(loop_of(tmp_path, NETWORK, override))
    assert set(calls) == {0}
    assert math.isfinite(values[-1]["loss"])


def test_a_loss_that_is_not_finite_is_not_learned_from(tmp_path: Path, calls: list[int]) -> None:
    loop = loop_of(tmp_path, REGRESSION, "data.shuffle=false")
    loop.built.data.train.labels[0][20] = np.inf  # in the third batch
    with pytest.raises(NotFiniteError, match="epoch 1, batch 3"):
        loop.train_epoch(0)
    assert calls == [2, 0]
    assert (loop.batches_done, loop.built.module.optimizer.num_update) == (2, 2)
    other = loop_of(tmp_path, REGRESSION, "data.shuffle=false", "backend=numpy")
    other.built.data.train.labels[0][20] = np.inf
    with pytest.raises(NotFiniteError, match="epoch 1, batch 3"):
        other.train_epoch(0)
    arrays = (one.built.module.parameter_arrays() for one in (loop, other))
    for array, wanted in zip(*arrays, strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-6)


def test_calls_end_where_a_checkpoint_is_due(tmp_path: Path, calls: list[int]) -> None:
    saved: list[int] = []
    loop = loop_of(tmp_path, NETWORK, "fit.checkpoint.every_batches=2")
    loop._on_checkpoint = lambda: saved.append(loop.batches_done)
    loop.train_epoch(0)
    assert saved == [2, 4, 6]
    assert max(calls) == 2


@pytest.mark.usefixtures("no_disk")
@pytest.mark.parametrize("optimizer", ["{name: sgd, momentum: 0.9}", "adam", "nadam", "sgld"])
def test_a_run_goes_on_to_the_same_bits(tmp_path: Path, optimizer: str) -> None:
    text = NETWORK + "  checkpoint: {keep: null, every_batches: 5}\n"
    assert compare_all(tmp_path, f"optimizer={optimizer}", text=text) == 6


@pytest.mark.parametrize("scale", ["none", "minmax", "standard"])
def test_bytes_become_floats(tmp_path: Path, calls: list[int], scale: str) -> None:
    def run(backend: str) -> Any:
        folder = tmp_path / backend
        folder.mkdir()
        random = np.random.default_rng(0)
        images = random.integers(0, 255, (40, 6), np.uint8)
        np.savez(folder / "rows.npz", data=images, label=np.arange(40) % 3)
        text = NETWORK.replace("backend: numba", f"backend: {backend}")
        text = text.replace(
            "train: {path: train.csv, label: kind}", "train: {path: rows.npz, label: label}"
        )
        (folder / "config.yaml").write_text(text.replace("  eval: {path: test.csv}\n", ""))
        changes = ["optimizer.learning_rate=0.0001", f"data.features.scale={scale}"]
        built = build(load(folder / "config.yaml", changes))
        assert built.data.train.data.dtype == np.uint8
        add_optimizer(built)
        loop = Loop(built)
        return *trained(loop), loop.bound(8).data

    mine, numpys = run("numba"), run("numpy")
    assert max(calls) > 1
    assert mine[2].tobytes() == numpys[2].tobytes()  # the last batch as the network sees it
    assert len(np.unique(mine[2])) > 40
    for array, wanted in zip(mine[0], numpys[0], strict=True):
        np.testing.assert_allclose(array, wanted, rtol=1e-5, atol=1e-6)
