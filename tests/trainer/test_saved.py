"""Saved models: what is opened for each way to name one, and what is said where there is none."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from trainer_runs import CONFIG, train, weights, write_config

from mxtrain import nd
from mxtrain.checkpoint import run_state
from mxtrain.checkpoint.arrays import write_parameters
from mxtrain.config import ConfigErrors
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.trainer.saved import SavedModel, open_model

FILES = Path(__file__).parents[1] / "golden" / "files"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three epochs whose data have gone, with its weights but without any state."""
    folder = tmp_path_factory.mktemp("saved")
    config = write_config(
        folder, CONFIG.replace("batch_size: 8", "batch_size: 8\n  columns: [y, x]")
    )
    train(config)
    for name in ("train.csv", "test.csv", "config.yaml"):
        (folder / name).unlink()
    for state in (folder / "run").glob("*.safetensors"):
        state.unlink()
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of that run to change."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def same(model: SavedModel, folder: Path, name: str) -> bool:
    stored = weights(folder, name)
    return model.arg_params.keys() == stored.keys() and all(
        np.array_equal(model.arg_params[key], array) for key, array in stored.items()
    )


@pytest.mark.parametrize(
    ("path", "epoch", "wanted"),
    [
        ("", None, 3),
        ("", 1, 1),
        ("model", None, 3),
        ("model", 2, 2),
        ("model-symbol.json", None, 3),
        ("model-0002.params", None, 2),
    ],
)
def test_a_run_is_opened_by_any_of_its_names(
    trained: Path, path: str, epoch: int | None, wanted: int
) -> None:
    model = open_model(trained / path, epoch)
    assert model.files.epoch == wanted
    assert model.files.folder == trained
    assert same(model, trained, f"model-{wanted:04d}.params")
    assert (model.data_names, model.label_names) == (("data",), ("softmax_label",))
    assert model.features is not None
    assert model.features.columns == ("y", "x")
    assert model.row_shape == (2,)
    assert model.labels is not None
    assert model.labels["softmax_label"].names == ("ash", "elm", "oak")


def test_the_config_of_a_run_is_read_though_its_data_have_gone(trained: Path) -> None:
    spec = open_model(trained).spec
    assert spec is not None
    assert spec.data.batch_size == 8
    assert [metric.name for metric in spec.fit.metrics] == ["accuracy", "crossentropy"]


def test_weights_within_an_epoch_are_newer_than_those_before_it(run: Path) -> None:
    shutil.copy(run / "model-0001.params", run / "model-0004-batch-0002.params")
    shutil.copy(run / "model-0001.params", run / "model-0003-batch-0005.params")
    model = open_model(run)
    assert model.files.weights.name == "model-0004-batch-0002.params"
    assert model.files.epoch is None
    assert open_model(run, 3).files.weights.name == "model-0003.params"


def add_state(run: Path, **changes: Any) -> Path:
    """Give a run the state of its third epoch, with the digests of all of its files."""
    files = {path.name: sha256(path.read_bytes()).hexdigest() for path in run.iterdir()}
    metadata = {"epoch": 3, "batch": 0, "files": files, "weights": "model-0003.params"}
    metadata |= {"best_weights": "model-0002.params", "restores_best": True}
    path = run / "model-0003.safetensors"
    run_state.save(path, metadata | changes, {"updates": 18})
    return path


@pytest.mark.parametrize(
    ("restores", "which", "wanted"),
    [(True, None, 2), (False, None, 3), (True, "last", 3), (False, "best", 2)],
)
def test_the_state_of_a_run_tells_which_weights_are_meant(
    run: Path, restores: bool, which: str | None, wanted: int
) -> None:
    add_state(run, restores_best=restores)
    assert open_model(run, which=which).files.epoch == wanted


def test_the_file_of_a_state_means_its_weights(run: Path) -> None:
    assert same(open_model(add_state(run)), run, "model-0003.params")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("model-0003.params", "take another checkpoint"),
        ("model-symbol.json", "fit --resume .*run --force"),
        ("preprocessing.json", "fit --resume .*run --force"),
    ],
)
def test_a_changed_file_of_a_run_is_refused(run: Path, name: str, advice: str) -> None:
    add_state(run, restores_best=False)
    open_model(run)
    (run / name).write_bytes((run / name).read_bytes() + b" ")
    with pytest.raises(
        FileFormatError, match=f"{name} is not the file that the run wrote.*{advice}"
    ):
        open_model(run)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"weights": "../other.params"},
            "names no file of weights beside it, but '../other.params'",
        ),
        ({"weights": None}, "names no file of weights beside it, but None"),
        ({"weights": "model-0009.params"}, "model-0009.params' is missing: model-0003.safetensors"),
    ],
)
def test_a_state_that_names_no_weights_is_refused(
    run: Path, changes: dict[str, Any], message: str
) -> None:
    add_state(run, restores_best=False, **changes)
    with pytest.raises(MXNetError, match=message.replace(".", r"\.")):
        open_model(run)


def test_a_run_without_a_best_epoch_has_no_best_weights(run: Path) -> None:
    add_state(run, best_weights=None)
    with pytest.raises(MXNetError, match="has no best epoch yet"):
        open_model(run, which="best")
    assert open_model(run).files.epoch == 3


@pytest.mark.parametrize("ending", [".params", ".npz", ".safetensors"])
def test_weights_of_another_format_belong_to_the_graph_beside_them(
    trained: Path, tmp_path: Path, ending: str
) -> None:
    arrays = nd.load(str(trained / "model-0003.params"))
    assert isinstance(arrays, dict)
    write_parameters(tmp_path / f"mine{ending}", arrays)
    shutil.copy(trained / "model-symbol.json", tmp_path / "net-symbol.json")
    model = open_model(tmp_path / f"mine{ending}")
    assert same(model, trained, "model-0003.params")
    assert (model.features, model.labels, model.spec) == (None, None, None)
    assert model.row_shape == (2,)


def test_a_model_of_mxnet_is_opened_by_its_prefix() -> None:
    model = open_model(FILES / "mlp")
    assert model.files.epoch == 3
    assert model.row_shape == (10,)
    assert set(model.aux_params) == {
        f"bn{n}_moving_{what}" for n in (1, 2) for what in ("mean", "var")
    }


def test_a_folder_with_one_model_means_that_model(tmp_path: Path) -> None:
    for name in ("mlp-symbol.json", "mlp-0003.params"):
        shutil.copy(FILES / name, tmp_path)
    assert open_model(tmp_path).files.epoch == 3
    shutil.copy(FILES / "mlp-symbol.json", tmp_path / "other-symbol.json")
    with pytest.raises(MXNetError, match=r"holds several models; name one: .*mlp, .*other"):
        open_model(tmp_path)


def test_shapes_of_rows_are_compared_with_the_weights() -> None:
    model = open_model(FILES / "mlp")
    assert model.misfits((10,)) == []
    model.check_rows((2, 5), "a.npz")
    with pytest.raises(MXNetError, match=r"takes 10 numbers a row, a\.csv has 12; drop two \("):
        model.check_rows((12,), "a.csv", "drop two")
    with pytest.raises(MXNetError, match=r"a\.csv has 9 \('fc1_weight' has shape \(16, 10\)"):
        model.check_rows((9,), "a.csv", "drop two")


def pair(folder: Path, **arrays: Any) -> Path:
    """Write MXNet's pair with the weights of the recorded model, changed by `arrays`."""
    shutil.copy(FILES / "mlp-symbol.json", folder / "net-symbol.json")
    stored = nd.load(str(FILES / "mlp-0003.params"))
    assert isinstance(stored, dict)
    for name, array in arrays.items():
        if array is None:
            del stored[name.replace("__", ":")]
        else:
            stored[name.replace("__", ":")] = array
    nd.save(str(folder / "net-0001.params"), stored)
    return folder / "net"


def test_arrays_that_the_graph_has_no_place_for_are_told(tmp_path: Path) -> None:
    model = open_model(pair(tmp_path, arg__old_weight=nd.zeros((2, 2))))
    assert model.unused == ("old_weight",)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"arg__fc3_bias": None}, r"net-0001\.params has no values for 'fc3_bias' of net-symbol"),
        ({"aux__bn1_moving_var": None}, "has no values for 'bn1_moving_var'"),
        (
            {"arg__fc3_weight": None, "arg__fc3_wieght": nd.zeros((5, 8))},
            r"'fc3_weight' \(is it 'fc3_wieght'\?\).*it has 'fc3_wieght' besides",
        ),
    ],
)
def test_missing_weights_are_named(tmp_path: Path, arrays: dict[str, Any], message: str) -> None:
    with pytest.raises(MXNetError, match=message):
        open_model(pair(tmp_path, **arrays))


def test_weights_of_another_shape_are_refused_with_the_run(run: Path) -> None:
    arrays = nd.load(str(run / "model-0003.params"))
    assert isinstance(arrays, dict)
    arrays["arg:fc1_weight"] = nd.zeros((8, 5))
    nd.save(str(run / "model-0003.params"), arrays)
    with pytest.raises(MXNetError, match=r"does not fit model-symbol.json: 'fc1_weight' has shape"):
        open_model(run)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is damaged"),
        ("[]", "is damaged"),
        ('{"features": {}, "labels": {}}', "stored features are damaged"),
        (None, "cannot read"),
    ],
)
def test_damaged_preprocessing_is_refused(run: Path, content: str | None, message: str) -> None:
    path = run / "preprocessing.json"
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    with pytest.raises(MXNetError, match=f"{message}.*") as caught:
        open_model(run)
    assert "preprocessing.json" in str(caught.value)


@pytest.mark.parametrize(
    ("path", "epoch", "which", "message"),
    [
        ("run", 7, None, "no weights of '.*model' after epoch 7; there are those after 1, 2, 3"),
        ("run", None, "best", "are the best is not known.*choose an epoch"),
        ("run", 1, "best", "epoch 1 and 'best' were both asked for"),
        ("run", None, "first", "one of best, last, got 'first'"),
        ("run/model-0002.params", 1, None, "is one checkpoint; to choose epoch 1, name its run"),
        ("run/model-0002.params", None, "last", "is one checkpoint; to choose 'last'"),
        ("run/modle", None, None, "did you mean '.*model'"),
        ("rum", None, None, "there is no model '.*rum': neither a folder.*did you mean '.*run'"),
        ("nowhere/model", None, None, "there is no folder '.*nowhere'"),
        (".", None, None, "holds no model: neither a run's config.yaml"),
        ("run/log.txt", None, None, "is no saved model: give the folder of a run"),
    ],
)
def test_errors_say_what_was_looked_for(
    run: Path, path: str, epoch: int | None, which: str | None, message: str
) -> None:
    with pytest.raises(MXNetError, match=message):
        open_model(run.parent / path, epoch, which)


def test_a_run_without_its_config_is_no_bare_model(run: Path) -> None:
    (run / "config.yaml").unlink()
    for path in (run / "model-0003.params", run / "model", run / "model-symbol.json"):
        with pytest.raises((MXNetError, ConfigErrors), match=r"config\.yaml: no such file"):
            assert open_model(path).spec


def test_a_run_without_weights_says_so(run: Path) -> None:
    for path in run.glob("*.params"):
        path.unlink()
    with pytest.raises(MXNetError, match=r"'.*model-NNNN\.params'; the run in '.*' has saved"):
        open_model(run)


def test_weights_without_their_graph_are_refused(run: Path) -> None:
    (run / "model-symbol.json").unlink()
    with pytest.raises(
        MXNetError, match=r"there is no graph for '.*': looked for '.*-symbol\.json"
    ):
        open_model(run)


def test_arrays_without_names_are_refused(run: Path) -> None:
    nd.save(str(run / "model-0003.params"), [nd.zeros((2,))])
    with pytest.raises(FileFormatError, match="the 1 arrays have no names"):
        open_model(run)


def test_a_graph_with_an_unknown_operator_names_it(tmp_path: Path) -> None:
    graph = json.loads((FILES / "mlp-symbol.json").read_text())
    graph["nodes"][3]["op"] = "Fulyconnected"
    (tmp_path / "net-symbol.json").write_text(json.dumps(graph))
    shutil.copy(FILES / "mlp-0003.params", tmp_path / "net-0003.params")
    with pytest.raises(MXNetError, match=r"net-symbol\.json: .*Fulyconnected"):
        open_model(tmp_path / "net")
