"""Every example config, trained for an epoch and exported, predicts its eval rows as it should."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mxtrain.config import load
from mxtrain.console.quiet import QuietReporter
from mxtrain.export.runtime import Session
from mxtrain.export.verify import TOLERANCE, TOLERANCE_FLOAT16, difference
from mxtrain.module import Module
from mxtrain.trainer.export import Exported, export_model
from mxtrain.trainer.run import fit
from mxtrain.trainer.saved import SavedModel, open_model

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
OPTIMIZERS = [ROOT / "configs" / "optimizers" / f"{name}.yaml" for name in ("adam", "lamb", "sgd")]


def trained(path: Path, folder: Path) -> SavedModel:
    spec = load(path, ["threads=1", "fit.num_epoch=1"])
    fit(spec, QuietReporter(sys.stderr), output=folder)
    return open_model(folder)


def columns(path: Path, names: Any) -> np.ndarray:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([[float(row[name]) for name in names] for row in rows])


def predicted(model: SavedModel, rows: np.ndarray) -> list[np.ndarray]:
    """The outputs of the module for scaled rows, in one batch."""
    labels = list(model.label_names)
    module = Module(model.symbol, label_names=labels or None)
    module.bind([("data", rows.shape)], [(n, (len(rows),)) for n in labels], for_training=False)
    module.set_params(model.arg_params, model.aux_params)
    executor = module.executor
    return [out.asnumpy() for out in executor.forward(is_train=False, data=rows)]


@pytest.mark.parametrize("path", [*CONFIGS, *OPTIMIZERS], ids=lambda path: path.stem)
def test_config(path: Path, tmp_path: Path) -> None:
    model = trained(path, tmp_path / "run")
    file = tmp_path / "model.onnx"
    exported = export_model(model, file)
    # Sums of halves are added in an order of their own by every processor's BLAS.
    half = "float16" in {str(array.dtype) for array in model.arg_params.values()}
    allowed = TOLERANCE_FLOAT16 if half else TOLERANCE
    assert exported.report.comparison.difference <= allowed
    assert exported.report.batch is None
    # Once more, without any of the code that compares them on the spot.
    assert model.features is not None
    source = "test" if "eval: {path" in path.read_text() else "train"
    folder = "pendulum" if path.stem == "pendulum" else "digits"
    raw = columns(ROOT / "data" / folder / f"{source}.csv", model.features.columns)
    offset, factor = np.array(model.features.offset), np.array(model.features.factor)
    scaled = ((raw - offset) * factor).astype(np.float32)
    found = Session(file.read_bytes()).run({"data": raw})
    for one, other in zip(found, predicted(model, scaled), strict=True):
        assert one.shape == other.shape
        assert difference(one, other) <= allowed
    check_metadata(file, model, exported)


def check_metadata(file: Path, model: SavedModel, exported: Exported) -> None:
    stored = {prop.key: prop.value for prop in onnx.load(file).metadata_props}
    assert model.features is not None
    assert json.loads(stored["columns"]) == list(model.features.columns)
    assert stored["scale"] == model.features.scale
    assert json.loads(stored["scaled_inside"]) is True
    assert stored["model"] == "run run, epoch 1"
    heads = [port.name for port in exported.report.outputs]
    if "classes" in stored:
        digits = [str(digit) for digit in range(10)]
        assert json.loads(stored["classes"]) == dict.fromkeys(heads, digits)
    else:
        assert heads == ["period_output"]


def test_every_config_is_there() -> None:
    assert len(CONFIGS) >= 8
    assert all(path.exists() for path in OPTIMIZERS)


def test_recorded_model_of_mxnet(tmp_path: Path) -> None:
    files = ROOT / "tests" / "golden" / "files"
    model = open_model(files / "mlp", 3)
    file = tmp_path / "mlp.onnx"
    exported = export_model(model, file)
    assert exported.rows == "random"
    assert exported.report.notes == []
    with np.load(files / "mlp-io.npz") as recorded:
        data, output = recorded["in/data"], recorded["out/softmax_output"]
    assert difference(Session(file.read_bytes()).run({"data": data})[0], output) <= 1e-6
