"""Predictions of saved models, and how the outputs of a network are read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import CONFIG, KINDS, points, train, write_config

from mxtrain import nd, symbol
from mxtrain.errors import MXNetError
from mxtrain.io.errors import DataError
from mxtrain.symbol import Symbol
from mxtrain.trainer.answers import Answer
from mxtrain.trainer.predict import Predictor
from mxtrain.trainer.saved import open_model
from mxtrain.trainer.saved_data import read_data

FILES = Path(__file__).parents[1] / "golden" / "files"
Array = np.ndarray[Any, Any]


def predict(path: Path, data: Path, flat: bool = True, **options: Any) -> dict[str, Array]:
    """Return all predictions at once."""
    model = open_model(path)
    dataset = read_data(model, data, options.pop("ignore", ()))
    scores = options.pop("scores", False)
    predictor = Predictor(model, dataset.data.shape[1:], **options)
    pieces = list(predictor.pieces(dataset, scores, flat))
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a classifier with scaled columns."""
    folder = tmp_path_factory.mktemp("predict")
    scaled = "batch_size: 8\n  features: {scale: standard}"
    changed = CONFIG.replace("batch_size: 8", scaled).replace("num_epoch: 3", "num_epoch: 15")
    train(write_config(folder, changed))
    return folder


def test_a_recorded_model_gives_the_recorded_outputs() -> None:
    recorded = np.load(FILES / "mlp-io.npz")
    predictor = Predictor(open_model(FILES / "mlp"), (10,), 4)
    (found,) = predictor.outputs(recorded["in/data"]).values()
    np.testing.assert_allclose(found, recorded["out/softmax_output"], rtol=0, atol=1e-6)


def test_classes_have_their_names_and_probabilities(trained: Path) -> None:
    found = predict(trained / "run", trained / "test.csv", scores=True)
    names = ["ash", "elm", "oak"]
    columns = ["prediction", "probability", *(f"probability_{name}" for name in names)]
    assert list(found) == columns
    table = np.stack([found[name] for name in columns[2:]], axis=1)
    np.testing.assert_allclose(table.sum(axis=1), 1, atol=1e-6)
    assert np.array_equal(found["probability"], table.max(axis=1))
    assert found["prediction"].tolist() == [names[n] for n in table.argmax(axis=1)]
    true = [KINDS[n] for n in points(20, 2)[1]]
    assert np.mean(found["prediction"] == np.array(true)) > 0.9


def test_columns_are_found_by_name_and_others_passed_over(trained: Path, tmp_path: Path) -> None:
    wanted = predict(trained / "run", trained / "test.csv")
    lines = (trained / "test.csv").read_text().splitlines()[1:]
    rows = [line.split(",") for line in lines]
    other = tmp_path / "rows.tsv"
    table = [["id", "y", "x"], *([f"no {i}", y, x] for i, (x, y, _) in enumerate(rows))]
    other.write_text("\n".join("\t".join(row) for row in table) + "\n")
    found = predict(trained / "run", other)
    assert all(np.array_equal(found[name], wanted[name]) for name in wanted)


@pytest.mark.parametrize("batch_size", [1, 3, 20, 64])
def test_the_batch_size_changes_no_prediction(trained: Path, batch_size: int) -> None:
    wanted = predict(trained / "run", trained / "test.csv")
    found = predict(trained / "run", trained / "test.csv", batch_size=batch_size)
    assert np.array_equal(found["prediction"], wanted["prediction"])
    np.testing.assert_allclose(found["probability"], wanted["probability"], rtol=1e-5)


def test_pieces_join_to_the_whole(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = predict(trained / "run", trained / "test.csv")
    monkeypatch.setattr("mxtrain.trainer.predict.PIECE_ROWS", 8)
    model = open_model(trained / "run")
    dataset = read_data(model, trained / "test.csv")
    pieces = list(Predictor(model, (2,), 8).pieces(dataset, False, True))
    assert [len(piece["prediction"]) for piece in pieces] == [8, 8, 4]
    joined = np.concatenate([piece["probability"] for piece in pieces])
    assert np.array_equal(joined, wanted["probability"])


def test_missing_columns_and_wrong_kinds_are_refused(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("x,z\n1,2\n")
    with pytest.raises(DataError, match="has no column 'y'"):
        predict(trained / "run", path)
    np.savez(tmp_path / "rows.npz", data=np.zeros((3, 2)))
    with pytest.raises(DataError, match="the columns are not those of the training data"):
        predict(trained / "run", tmp_path / "rows.npz")


# -- networks made by hand -----------------------------------------------------------------------


def saved(folder: Path, network: Symbol, shape: tuple[int, ...], **arrays: Array) -> Path:
    """Write MXNet's pair of a network, its weights drawn at random or given."""
    network.save(str(folder / "net-symbol.json"))
    shapes, _, aux_shapes = network.infer_shape(data=(2, *shape))
    rng = np.random.default_rng(5)
    stored = {}
    for name, needed in zip(network.list_arguments(), shapes, strict=True):
        if name != "data" and not name.endswith("label"):
            drawn = arrays.get(name, rng.normal(size=needed))
            stored[f"arg:{name}"] = nd.array(drawn, dtype="float32")
    assert not aux_shapes
    nd.save(str(folder / "net-0000.params"), stored)
    return folder / "net"


def outputs(path: Path, rows: Array, batch_size: int = 2) -> dict[str, Array]:
    return Predictor(open_model(path), rows.shape[1:], batch_size).outputs(rows)


def dense(name: str, units: int, data: Symbol | None = None) -> Symbol:
    given = symbol.Variable("data") if data is None else data
    return symbol.FullyConnected(given, num_hidden=units, name=name)


ROWS = np.random.default_rng(6).normal(size=(5, 3)).astype(np.float32)


def test_a_network_without_a_loss_gives_its_values(tmp_path: Path) -> None:
    path = saved(tmp_path, dense("fc", 2), (3,))
    model = open_model(path)
    weight, bias = (np.asarray(model.arg_params[f"fc_{n}"]) for n in ("weight", "bias"))
    found = outputs(path, ROWS)["fc_output"]
    np.testing.assert_allclose(found, ROWS @ weight.T + bias, rtol=1e-5, atol=1e-6)
    np.savez(tmp_path / "rows.npz", data=ROWS)
    assert list(predict(path, tmp_path / "rows.npz")) == ["prediction_1", "prediction_2"]
    assert predict(path, tmp_path / "rows.npz", flat=False)["prediction"].shape == (5, 2)


def test_outputs_that_need_a_label_are_left_out(tmp_path: Path) -> None:
    fc = dense("fc", 2)
    error = symbol.square(fc - symbol.Variable("my_label"), name="square")
    network = symbol.Group([symbol.MakeLoss(error, name="loss"), symbol.BlockGrad(fc, name="out")])
    network.save(str(tmp_path / "net-symbol.json"))
    arrays = {"arg:fc_weight": nd.ones((2, 3)), "arg:fc_bias": nd.zeros((2,))}
    nd.save(str(tmp_path / "net-0001.params"), arrays)
    predictor = Predictor(open_model(tmp_path / "net"), (3,), 2)
    assert predictor.left_out == ["loss_output"]
    np.testing.assert_allclose(
        predictor.outputs(ROWS)["out_output"][:, 0], ROWS.sum(axis=1), rtol=1e-5
    )


def test_a_network_of_nothing_but_such_losses_is_refused(tmp_path: Path) -> None:
    network = symbol.MakeLoss(symbol.square(dense("fc", 1) - symbol.Variable("label")), name="loss")
    network.save(str(tmp_path / "net-symbol.json"))
    arrays = {"arg:fc_weight": nd.ones((1, 3)), "arg:fc_bias": nd.zeros((1,))}
    nd.save(str(tmp_path / "net-0001.params"), arrays)
    with pytest.raises(MXNetError, match="no output of the network tells anything: 'loss_output'"):
        Predictor(open_model(tmp_path / "net"), (3,))


def test_an_error_of_reconstruction_is_a_value_of_its_row(tmp_path: Path) -> None:
    data = symbol.Variable("data")
    error = symbol.square(dense("fc", 3, data) - data)
    network = symbol.MakeLoss(symbol.sum(error, axis=1), name="loss")
    path = saved(tmp_path, network, (3,), fc_weight=np.zeros((3, 3)), fc_bias=np.zeros(3))
    np.testing.assert_allclose(outputs(path, ROWS)["loss_output"], (ROWS**2).sum(axis=1), rtol=1e-5)


def test_a_mean_over_the_batch_tells_nothing_of_a_row(tmp_path: Path) -> None:
    data = symbol.Variable("data")
    network = symbol.Group([dense("fc", 1, data), symbol.mean(data, name="mean")])
    path = saved(tmp_path, network, (3,))
    assert Predictor(open_model(path), (3,), 2).left_out == ["mean_output"]


def test_several_inputs_are_refused(tmp_path: Path) -> None:
    network = dense("fc", 2, symbol.Variable("data") + symbol.Variable("more"))
    network.save(str(tmp_path / "net-symbol.json"))
    arrays = {"arg:fc_weight": nd.ones((2, 3)), "arg:fc_bias": nd.zeros((2,))}
    nd.save(str(tmp_path / "net-0001.params"), arrays)
    with pytest.raises(MXNetError, match="has the inputs 'data', 'more', the rows are for one"):
        Predictor(open_model(tmp_path / "net"), (3,))


def test_half_precision_weights_are_computed_with_as_they_are(tmp_path: Path) -> None:
    path = saved(tmp_path, dense("fc", 2), (3,))
    stored = nd.load(str(tmp_path / "net-0000.params"))
    assert isinstance(stored, dict)
    halved = {name: array.astype(np.float16) for name, array in stored.items()}
    nd.save(str(tmp_path / "net-0000.params"), halved)
    assert outputs(path, ROWS)["fc_output"].dtype == np.float16


def test_images_may_have_another_shape_of_the_same_size(tmp_path: Path) -> None:
    path = saved(tmp_path, symbol.softmax(dense("fc", 4), name="p"), (6,))
    np.savez(tmp_path / "flat.npz", data=np.arange(12).reshape(2, 6))
    np.savez(tmp_path / "images.npz", data=np.arange(12).reshape(2, 2, 3).astype(np.uint8))
    flat, images = (predict(path, tmp_path / f"{n}.npz") for n in ("flat", "images"))
    assert np.array_equal(flat["probability"], images["probability"])
    assert list(flat) == ["prediction", "probability"]


# -- answers --------------------------------------------------------------------------------------


def told(answer: Answer, raw: Any, scores: bool = False) -> dict[str, list[Any]]:
    found = answer.columns(np.array(raw, np.float32), scores)
    return {name: column.tolist() for name, column in found.items()}


def test_numbers_of_classes_are_numbers() -> None:
    digits = Answer("o", "", "class", ("0", "7", "-3"))
    assert told(digits, [[0.25, 0.75, 0.0]])["prediction"] == [7]
    padded = Answer("o", "", "class", ("00", "07"))
    assert told(padded, [[0.25, 0.75]])["prediction"] == ["07"]
    assert told(Answer("o", "", "class"), [[0.25, 0.75]])["prediction"] == [1]


def test_more_scores_than_classes_have_names_too() -> None:
    assert told(Answer("o", "", "class", ("a",)), [[0.25, 0.75]])["prediction"] == ["class 1"]


def test_the_second_of_two_classes_has_the_probability() -> None:
    answer = Answer("o", "", "binary", ("no", "yes"))
    assert told(answer, [[0.25], [0.75]], scores=True) == {
        "prediction": ["no", "yes"],
        "probability": [0.75, 0.75],
        "probability_no": [0.75, 0.25],
        "probability_yes": [0.25, 0.75],
    }


def test_positions_are_numbered() -> None:
    raw = np.array([[[0.9, 0.2], [0.1, 0.8]]], np.float32)  # row, class, position
    answer = Answer("o", "seg_", "class", ("a", "b"), axis=1)
    assert {name: column.tolist() for name, column in answer.columns(raw).items()} == {
        "seg_prediction_1": ["a"],
        "seg_prediction_2": ["b"],
        "seg_probability_1": [pytest.approx(0.9)],
        "seg_probability_2": [pytest.approx(0.8)],
    }
    arrays = answer.arrays(raw, scores=True)
    assert arrays["seg_prediction"].shape == (1, 2)
    assert arrays["seg_probabilities"].shape == (1, 2, 2)
    last = Answer("o", "seg_", "class", ("a", "b"), axis=-1).arrays(raw.transpose(0, 2, 1))
    assert np.array_equal(last["seg_prediction"], arrays["seg_prediction"])


def test_values_are_named_after_their_labels() -> None:
    answer = Answer("o", "", "value", values=("width", "height"))
    assert told(answer, [[1, 2]]) == {"prediction_width": [1], "prediction_height": [2]}
    assert told(answer, [[1, 2, 3]]).keys() == {f"prediction_{n}" for n in (1, 2, 3)}


@pytest.mark.parametrize(
    ("last", "label", "columns"),
    [
        ("SVMOutput, name: out", "kind", ["prediction", "score"]),
        ("LogisticRegressionOutput, name: out", "kind", ["prediction", "probability"]),
        ("LinearRegressionOutput, name: out", "y", ["prediction"]),
        ("LinearRegressionOutput, name: out", "[x, y]", ["prediction_x", "prediction_y"]),
    ],
)
def test_every_kind_of_output(tmp_path: Path, last: str, label: str, columns: list[str]) -> None:
    units = {"kind": 2, "[x, y]": 2}.get(label, 1)
    if "Logistic" in last:
        units = 1
    text = CONFIG.replace("label: kind", f"label: {label}").replace("metrics: [accuracy, ce]", "")
    text = text.replace("num_hidden: 3", f"num_hidden: {units}")
    text = text.replace("SoftmaxOutput, name: softmax", last)
    if label != "kind":
        text = text.replace("batch_size: 8", "batch_size: 8\n  ignore: [kind]")
    config = write_config(tmp_path, text)
    for name in ("train.csv", "test.csv"):
        table = (tmp_path / name).read_text().replace("oak", "elm")
        extra = table.splitlines()
        numbered = [extra[0] + ",z", *(f"{line},{n % 7}" for n, line in enumerate(extra[1:]))]
        (tmp_path / name).write_text("\n".join(numbered) + "\n")
    train(config)
    found = predict(tmp_path / "run", tmp_path / "test.csv")
    assert list(found) == columns
    if label == "kind":
        assert set(found["prediction"].tolist()) <= {"ash", "elm"}


def test_two_outputs_have_their_names_in_front(tmp_path: Path) -> None:
    text = CONFIG.replace(
        "  - {op: SoftmaxOutput, name: softmax}\n",
        "  - {op: SoftmaxOutput, name: first, inputs: {data: fc2, label: softmax_label}}\n"
        "  - {op: SoftmaxOutput, name: second, inputs: {data: fc2, label: softmax_label}}\n",
    ).replace("symbol:\n", "symbol:\n  - {op: Variable, name: softmax_label}\n")
    text = text.replace("name: fc1,", "name: fc1, inputs: data,")
    train(write_config(tmp_path, text))
    found = predict(tmp_path / "run", tmp_path / "test.csv")
    assert list(found) == [
        f"{node}_{what}" for node in ("first", "second") for what in ("prediction", "probability")
    ]
    assert np.array_equal(found["first_prediction"], found["second_prediction"])


def test_idx_files_and_arrays_of_a_run(tmp_path: Path) -> None:
    """Images stay bytes until they are scaled, in training and in prediction."""
    data, kinds = points(48, 1)
    images = np.clip(data * 40 + 128, 0, 255).astype(np.uint8).reshape(-1, 1, 2)
    write_idx(tmp_path / "images.idx", images)
    write_idx(tmp_path / "labels.idx", kinds.astype(np.uint8))
    text = CONFIG.replace(
        "{path: train.csv, label: kind}", "{images: images.idx, labels: labels.idx}"
    )
    text = text.replace("  eval: {path: test.csv}\n", "").replace("batch_size: 8", BYTES)
    train(write_config(tmp_path, text))
    found = predict(tmp_path / "run", tmp_path / "images.idx")
    assert len(found["prediction"]) == 48
    assert set(found["prediction"].tolist()) <= {0, 1, 2}
    shutil.copy(tmp_path / "images.idx", tmp_path / "without_ending")
    again = predict(tmp_path / "run", tmp_path / "without_ending")
    assert np.array_equal(again["probability"], found["probability"])


BYTES = "batch_size: 8\n  features: {scale: minmax}"


def write_idx(path: Path, array: Array) -> None:
    axes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + axes + array.tobytes())


def test_a_regression_learns_whole_numbers_as_they_are(tmp_path: Path) -> None:
    """Ages of 20, 40 and 60 are no classes 0, 1 and 2."""
    text = CONFIG.replace("label: kind", "label: age").replace("metrics: [accuracy, ce]", "")
    text = text.replace("num_hidden: 3", "num_hidden: 1").replace("num_epoch: 3", "num_epoch: 60")
    text = text.replace("SoftmaxOutput, name: softmax", "LinearRegressionOutput, name: out")
    config = write_config(tmp_path, text)
    for name in ("train.csv", "test.csv"):
        table = (tmp_path / name).read_text().replace("kind", "age")
        for kind, age in zip(KINDS, (20, 40, 60), strict=True):
            table = table.replace(kind, str(age))
        (tmp_path / name).write_text(table)
    train(config, "fit.checkpoint.every=60")
    found = predict(tmp_path / "run", tmp_path / "test.csv")["prediction"]
    assert 15 < found.min() < 30
    assert 30 < np.median(found) < 50
