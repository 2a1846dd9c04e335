"""Every optimizer has a config in configs/optimizers/, which trains the digits network."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from math import isfinite
from pathlib import Path

import numpy as np
import pytest

from mxtrain import nd
from mxtrain.config import load
from mxtrain.console.quiet import QuietReporter
from mxtrain.optimizer import registry
from mxtrain.trainer.run import fit

FOLDER = Path(__file__).parents[1] / "configs" / "optimizers"
CONFIGS = sorted(FOLDER.glob("*.yaml"))
TARGET = 0.95
NO_BIAS = ("groupadagrad", "FullyConnected")
FALLS_BY_ITSELF = {"adadelta", "adagrad", "ftrl", "groupadagrad", "sgld"}
"""Optimizers whose steps grow shorter without a schedule, or (SGLD) should not."""

by_optimizer = pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)


def test_every_optimizer_has_its_config() -> None:
    assert [path.stem for path in CONFIGS] == sorted(registry.names())
    assert len(CONFIGS) >= 23


@by_optimizer
def test_config_is_of_its_optimizer(path: Path) -> None:
    assert load(path).optimizer.name == path.stem
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert f"mxtrain fit configs/optimizers/{path.name} " in lines[1]
    assert lines[1].endswith(f"mxtrain show {path.stem}")
    assert max(map(len, lines)) <= 120


@by_optimizer
def test_whole_run_reaches_the_target(path: Path, tmp_path: Path) -> None:
    output = tmp_path / "run"
    result = fit(load(path, ["threads=1"]), QuietReporter(sys.stderr), output=output)
    assert result.status == "done"
    lines = (output / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 15
    assert all(isfinite(value) for row in rows for value in row.values())
    assert rows[-1]["eval_accuracy"] >= TARGET
    saved = nd.load(str(output / "model-0015.params"))
    assert isinstance(saved, dict)
    assert len(saved) == (3 if path.stem == "groupadagrad" else 6)
    assert all(np.isfinite(array).all() for array in saved.values())


@by_optimizer
def test_only_what_an_optimizer_needs_differs(path: Path) -> None:
    """Rows, network and epochs are those of sgd, so that results can be compared."""
    spec, usual = load(path), load(FOLDER / "sgd.yaml")
    batch_size = 128 if path.stem in ("lamb", "lars") else 32
    assert spec.data == replace(usual.data, batch_size=batch_size)
    assert (spec.seed, spec.initializer, spec.fit) == (usual.seed, usual.initializer, usual.fit)
    assert isinstance(spec.symbol, tuple)
    assert isinstance(usual.symbol, tuple)
    assert len(spec.symbol) == len(usual.symbol)
    for node, other in zip(spec.symbol, usual.symbol, strict=True):
        bias = {"no_bias": True} if (path.stem, node.op) == NO_BIAS else {}
        assert node == replace(other, attrs=other.attrs | bias)


@by_optimizer
def test_curve_ends_with_the_run(path: Path) -> None:
    spec = load(path)
    if path.stem in FALLS_BY_ITSELF:
        assert spec.lr_scheduler is None
    else:
        assert spec.lr_scheduler is not None
        assert spec.lr_scheduler.settings["max_update"] == f"{spec.fit.num_epoch} epochs"


def test_lbsgd_knows_how_many_updates_an_epoch_has() -> None:
    spec = load(FOLDER / "lbsgd.yaml")
    rows = len(Path(str(spec.data.train.path)).read_text(encoding="utf-8").splitlines()) - 1
    assert spec.optimizer.settings["updates_per_epoch"] == -(-rows // spec.data.batch_size)


def test_adamax_meets_weights_without_gradient() -> None:
    """Of pixels that are always 0, and without decay: where MXNet divides 0 by 0."""
    spec = load(FOLDER / "adamax.yaml")
    assert spec.optimizer.settings["wd"] == 0
    table = np.loadtxt(str(spec.data.train.path), delimiter=",", skiprows=1)
    assert np.count_nonzero(~table[:, :-1].any(axis=0)) >= 3
