"""Evaluating saved models: the numbers of the run, on any rows, and which classes are mistaken."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import CONFIG, recorded, train, write_config

from mxtrain import nd
from mxtrain.config.fit import metrics_of
from mxtrain.config.spec import Component
from mxtrain.errors import MXNetError
from mxtrain.io.errors import DataError
from mxtrain.trainer.confusion import Confusion
from mxtrain.trainer.evaluate import Evaluation, evaluate
from mxtrain.trainer.saved import open_model
from mxtrain.trainer.saved_data import labelled_rows

FILES = Path(__file__).parents[1] / "golden" / "files"
LAYER = "  - {op: Activation, name: act1, act_type: tanh}\n"


def measured(
    path: Path, data: Path | None = None, label: tuple[str, ...] = (), **options: Any
) -> Evaluation:
    model = open_model(path, options.pop("epoch", None))
    metrics = options.pop("metrics", None)
    if metrics is None:
        metrics = model.spec.fit.metrics if model.spec is not None else ()
    return evaluate(model, labelled_rows(model, data, label), metrics, **options)


def as_in_the_run(found: Evaluation, folder: Path) -> bool:
    row = recorded(folder)[(found.epoch or 0) - 1]
    return {f"eval_{name}": value for name, value in found.values.items()} == {
        name: value for name, value in row.items() if name.startswith("eval_")
    }


CHANGES: dict[str, tuple[tuple[str, str], ...]] = {
    "classes": (),
    "a fraction": (("{path: test.csv}", "{fraction: 0.3}"),),
    "scaled": (("batch_size: 8", "batch_size: 8\n  features: {scale: standard}"),),
    "one batch": (("batch_size: 8", "batch_size: 32"),),
    "padded batches": (("batch_size: 8", "batch_size: 8\n  last_batch: pad"),),
    "dropout": ((LAYER, LAYER + "  - {op: Dropout, name: drop, p: 0.5}\n"),),
    "batch norm": ((LAYER, "  - {op: BatchNorm, name: bn, fix_gamma: false}\n" + LAYER),),
    "values": (
        ("label: kind", "label: y"),
        ("num_hidden: 3", "num_hidden: 1"),
        ("SoftmaxOutput, name: softmax", "LinearRegressionOutput, name: out"),
        ("batch_size: 8", "batch_size: 8\n  ignore: [kind]"),
        ("[accuracy, ce]", "[rmse, mae, pearsoncorrelation]"),
    ),
    "another metric": (("[accuracy, ce]", "[pcc, {name: topkaccuracy, top_k: 2}]"),),
}


@pytest.mark.parametrize("changes", CHANGES.values(), ids=CHANGES)
def test_the_eval_rows_give_the_very_numbers_of_the_run(
    tmp_path: Path, changes: tuple[tuple[str, str], ...]
) -> None:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    train(write_config(tmp_path, text))
    for epoch in (1, 3):
        found = measured(tmp_path / "run", epoch=epoch)
        assert found.epoch == epoch
        assert as_in_the_run(found, tmp_path / "run")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluate")
    train(write_config(folder))
    return folder


def test_a_file_is_measured_with_the_label_of_the_run(trained: Path) -> None:
    found = measured(trained / "run", trained / "test.csv")
    assert found.rows == 20
    assert as_in_the_run(found, trained / "run")


def test_other_metrics_may_be_asked_for(trained: Path) -> None:
    metrics = metrics_of("pcc, {name: topkaccuracy, top_k: 2}")
    assert metrics == (Component("pcc"), Component("topkaccuracy", {"top_k": 2}))
    found = measured(trained / "run", trained / "train.csv", metrics=metrics)
    assert list(found.values) == ["loss", "pcc", "top_k_accuracy_2"]


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_size_changes_the_numbers_by_rounding_alone(
    trained: Path, batch_size: int
) -> None:
    wanted = measured(trained / "run").values
    found = measured(trained / "run", batch_size=batch_size).values
    assert found.keys() == wanted.keys()
    assert all(found[name] == pytest.approx(wanted[name], rel=1e-5) for name in wanted)


def test_confusion_counts_every_row_once(trained: Path) -> None:
    found = measured(trained / "run", confusion=True)
    (confusion,) = found.confusion
    table = np.array(confusion.counts)
    assert table.sum() == found.rows
    assert table.trace() / table.sum() == pytest.approx(found.values["accuracy"])
    assert confusion.classes == ("ash", "elm", "oak")
    assert [row.count for row in confusion.rows()] == table.sum(axis=1).tolist()


def test_precision_and_recall_of_each_class() -> None:
    rows = Confusion("out", ("a", "b", "c"), ((3, 1, 0), (2, 2, 0), (0, 0, 0))).rows()
    assert [(row.name, row.count, row.precision, row.recall) for row in rows[:2]] == [
        ("a", 4, 0.6, 0.75),
        ("b", 4, pytest.approx(2 / 3), 0.5),
    ]
    assert rows[2].count == 0
    assert np.isnan([rows[2].precision, rows[2].recall]).all()


def test_an_unknown_class_is_named_with_its_row(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y,kind\n1,2,oak\n3,4,fir\n")
    with pytest.raises(DataError, match=r"rows\.csv:3: column 'kind': 'fir' is not among the 3"):
        measured(trained / "run", path)


def test_rows_without_labels_are_refused(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match="has no column 'kind'"):
        measured(trained / "run", path)
    np.savez(tmp_path / "rows.npz", data=np.zeros((2, 10)))
    with pytest.raises(DataError, match="has no labels; name the array with --label"):
        measured(FILES / "mlp", tmp_path / "rows.npz")


def test_a_run_without_eval_data_needs_a_file(tmp_path: Path) -> None:
    train(write_config(tmp_path, CONFIG.replace("  eval: {path: test.csv}\n", "")))
    with pytest.raises(DataError, match="is of a run without eval data; name a file"):
        measured(tmp_path / "run")
    assert measured(tmp_path / "run", tmp_path / "test.csv").rows == 20


def npz(folder: Path, numbers: list[float], name: str = "label") -> Path:
    path = folder / "rows.npz"
    data = np.random.default_rng(3).normal(size=(len(numbers), 10))
    np.savez(path, **{"data": data, name: np.array(numbers)})
    return path


def test_a_model_of_no_run_takes_class_numbers(tmp_path: Path) -> None:
    found = measured(FILES / "mlp", npz(tmp_path, [0, 4, 2]), metrics=(Component("accuracy"),))
    assert list(found.values) == ["loss", "accuracy"]
    same = measured(FILES / "mlp", npz(tmp_path, [0, 4, 2], "digit"), ("digit",))
    assert same.values["loss"] == found.values["loss"]


@pytest.mark.parametrize("number", [5, -1, 1.5])
def test_numbers_that_are_no_class_are_refused(tmp_path: Path, number: float) -> None:
    with pytest.raises(DataError, match=rf"row 2: {float(number)} is no class number: 'softmax'"):
        measured(FILES / "mlp", npz(tmp_path, [0, number]))


def test_a_model_of_no_run_needs_a_file() -> None:
    with pytest.raises(DataError, match="is of no run; name a file of rows with labels"):
        measured(FILES / "mlp")


def test_a_network_without_a_loss_cannot_be_measured(tmp_path: Path) -> None:
    from mxtrain import symbol

    network = symbol.FullyConnected(symbol.Variable("data"), num_hidden=2, name="fc")
    network.save(str(tmp_path / "net-symbol.json"))
    arrays = {"arg:fc_weight": nd.ones((2, 10)), "arg:fc_bias": nd.zeros((2,))}
    nd.save(str(tmp_path / "net-0001.params"), arrays)
    with pytest.raises(MXNetError, match="ends in no loss"):
        measured(tmp_path / "net", npz(tmp_path, [0, 1]))


def test_data_that_have_gone_are_named(tmp_path: Path) -> None:
    train(write_config(tmp_path))
    moved = shutil.move(tmp_path / "run", tmp_path / "elsewhere")
    (tmp_path / "test.csv").unlink()
    with pytest.raises(DataError, match=r"test\.csv: cannot be read: No such file"):
        measured(Path(moved))
    assert measured(Path(moved), tmp_path / "train.csv").rows == 50
