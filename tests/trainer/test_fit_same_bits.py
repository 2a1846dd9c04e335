"""Seed, config and data decide every bit: run by run, and in YAML as in Python."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import KINDS, points, recorded, train, weights, write_config

import mxtrain as mx
from mxtrain.config import load
from mxtrain.trainer import loop
from mxtrain.trainer.build import build

DEEP = """\
seed: 11
data:
  train: {path: rows.npz, label: label}
  batch_size: 8
  last_batch: LAST
symbol:
  - {op: FullyConnected, name: fc1, num_hidden: 16}
  - {op: BatchNorm, name: bn1, fix_gamma: false}
  - {op: Activation, name: act1, act_type: relu}
  - {op: Dropout, name: drop1, p: 0.4}
  - {op: FullyConnected, name: fc2, num_hidden: 3}
  - {op: SoftmaxOutput, name: softmax}
initializer: {name: xavier, rnd_type: gaussian, magnitude: 2}
optimizer: {name: adam, learning_rate: 0.01, wd: 0.001}
lr_scheduler: {name: factor, step: 5, factor: 0.8}
fit: {num_epoch: 4, metrics: [accuracy]}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def test_the_same_config_twice_gives_the_same_files(config: Path) -> None:
    one = Path(train(config, output=config.parent / "one").output)
    two = Path(train(config, output=config.parent / "two").output)
    for name in ("model-0003.params", "model-symbol.json", "preprocessing.json", "config.yaml"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name
    assert recorded(one) == recorded(two)


def test_another_seed_gives_other_weights(config: Path) -> None:
    one = train(config, output=config.parent / "one")
    two = train(config, "seed=4", output=config.parent / "two")
    first, second = (weights(run.output, run.weights)["fc1_weight"] for run in (one, two))
    assert not np.array_equal(first, second)


def test_the_resolved_config_trains_to_the_same_bits(config: Path) -> None:
    changes = ("data.eval={fraction: 0.25}", "data.features.scale=minmax", "optimizer=adam")
    one = Path(train(config, *changes, output=config.parent / "deep" / "one").output)
    two = Path(train(one / "config.yaml", output=config.parent / "two").output)
    assert (one / "model-0003.params").read_bytes() == (two / "model-0003.params").read_bytes()
    assert recorded(one) == recorded(two)


def test_reports_in_between_change_nothing(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calm = Path(train(config, output=config.parent / "calm").output)
    monkeypatch.setattr(loop, "REPORT_EVERY", 0.0)
    busy = Path(train(config, output=config.parent / "busy").output)
    assert recorded(calm) == recorded(busy)
    assert (calm / "model-0003.params").read_bytes() == (busy / "model-0003.params").read_bytes()


def test_profile_and_a_thread_limit_change_nothing(config: Path) -> None:
    plain = train(config, "threads=1", output=config.parent / "plain")
    timed = train(config, "threads=1", output=config.parent / "timed", profile=True)
    first, second = (Path(run.output, run.weights).read_bytes() for run in (plain, timed))
    assert first == second


def python_weights(rows: dict[str, Any], last: str) -> dict[str, Any]:
    """What the README calls the Python form: the same network, data and settings by hand."""
    mx.random.seed(11)
    net = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=16, name="fc1")
    net = mx.sym.BatchNorm(net, fix_gamma=False, name="bn1")
    net = mx.sym.Activation(net, act_type="relu", name="act1")
    net = mx.sym.Dropout(net, p=0.4, name="drop1")
    net = mx.sym.FullyConnected(net, num_hidden=3, name="fc2")
    module = mx.mod.Module(mx.sym.SoftmaxOutput(net, name="softmax"))
    batches = mx.io.NDArrayIter(
        rows["data"], rows["label"], 8, shuffle=True, last_batch_handle=last, seed=11
    )
    module.bind(batches.provide_data, batches.provide_label)
    module.init_params(mx.init.Xavier(rnd_type="gaussian", magnitude=2))
    schedule = mx.lr_scheduler.FactorScheduler(step=5, factor=0.8, base_lr=0.01)
    settings = {"learning_rate": 0.01, "wd": 0.001, "lr_scheduler": schedule}
    module.init_optimizer(optimizer="adam", optimizer_params=settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # fit says that all of this has been done already
        module.fit(batches, num_epoch=4)
    arg_params, aux_params = module.get_params()
    return {**arg_params, **aux_params}


@pytest.mark.parametrize("last", ["keep", "pad", "discard", "roll_over"])
def test_yaml_and_python_give_the_same_bits(tmp_path: Path, last: str) -> None:
    data, kinds = points(53, 5)
    rows = {"data": data.astype(np.float32), "label": kinds}
    np.savez(tmp_path / "rows.npz", **rows)
    config = tmp_path / "config.yaml"
    config.write_text(DEEP.replace("LAST", last))
    run = train(config)
    from_yaml, from_python = weights(run.output, run.weights), python_weights(rows, last)
    assert set(from_yaml) == set(from_python)
    for name, array in from_yaml.items():
        assert array.tobytes() == np.asarray(from_python[name]).tobytes(), name


@pytest.mark.parametrize("scale", ["none", "minmax", "standard"])
def test_bytes_train_to_the_bits_of_floats(config: Path, scale: str) -> None:
    images = np.random.default_rng(0).integers(0, 256, (53, 3, 4), dtype=np.uint8)
    kinds, found = np.arange(53) % 3, {}
    in_memory = {"bytes": np.uint8, "floats": np.float32}
    for name, dtype in (("bytes", np.uint8), ("floats", np.float64)):
        np.savez(config.parent / f"{name}.npz", data=images.astype(dtype), label=kinds)
        changes = [f"data.train={{path: {name}.npz, label: label}}", "data.eval={fraction: 0.3}"]
        changes.append(f"data.features.scale={scale}")
        kept = build(load(config, changes)).data
        assert kept.eval is not None
        assert kept.train.data.dtype == kept.eval.data.dtype == in_memory[name]
        run = train(config, *changes, output=config.parent / name)
        found[name] = (Path(run.output, run.weights).read_bytes(), recorded(Path(run.output)))
    assert found["bytes"] == found["floats"]


def test_classes_are_numbered_by_their_sorted_names(config: Path) -> None:
    run = train(config, "fit.num_epoch=30")
    data, kinds = points(20, 2)
    symbol = mx.sym.load(str(Path(run.output, "model-symbol.json")))
    module = mx.mod.Module(symbol, label_names=["softmax_label"])
    module.bind([("data", data.shape)], for_training=False, label_shapes=[("softmax_label", (20,))])
    module.load_params(str(Path(run.output, run.weights)))
    predicted = np.asarray(module.predict(mx.nd.array(data))).argmax(1)
    names = sorted(KINDS)
    assert [names[k] for k in predicted] == [KINDS[k] for k in kinds]
