"""What classes are called: the same wherever a saved model is used."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
from trainer_runs import CONFIG, train, write_config

from mxtrain.config.fit import metrics_of
from mxtrain.trainer.classes import class_names
from mxtrain.trainer.evaluate import evaluate
from mxtrain.trainer.export import export_model
from mxtrain.trainer.predict import Predictor
from mxtrain.trainer.saved import open_model
from mxtrain.trainer.saved_data import labelled_rows, read_data


def test_predict_evaluate_and_export_name_every_score_alike(tmp_path: Path) -> None:
    config = write_config(tmp_path, CONFIG.replace("num_hidden: 3", "num_hidden: 5"))
    train(config, "fit.num_epoch=1")
    model = open_model(tmp_path / "run")
    wanted = ("ash", "elm", "oak", "class 3", "class 4")

    dataset = read_data(model, tmp_path / "test.csv")
    (piece,) = Predictor(model, (2,)).pieces(dataset, scores=True, flat=True)
    assert tuple(piece)[2:] == tuple(f"probability_{name}" for name in wanted)

    rows = labelled_rows(model, None)
    (confusion,) = evaluate(model, rows, metrics_of("accuracy"), confusion=True).confusion
    assert confusion.classes == wanted

    export_model(model, tmp_path / "m.onnx")
    stored = {entry.key: entry.value for entry in onnx.load(tmp_path / "m.onnx").metadata_props}
    assert json.loads(stored["classes"]) == {"softmax_output": list(wanted)}


def test_a_class_without_a_name_is_never_called_as_another() -> None:
    names = class_names(("class 1", "class 2", "class 3"), 5)
    assert names == ("class 1", "class 2", "class 3", "class 3 (unnamed)", "class 4")
