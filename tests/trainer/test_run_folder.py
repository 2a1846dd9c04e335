"""The run folder: where it is, what is in it, and which weights stay."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from trainer_runs import Notes, train, weights, write_config

from mxtrain.config import load
from mxtrain.config.spec import CheckpointSpec, FitSpec
from mxtrain.trainer.best import Best
from mxtrain.trainer.build import build
from mxtrain.trainer.checkpoints import Checkpoints
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.files import RunFolder
from mxtrain.trainer.folder import make_folder
from mxtrain.trainer.position import Position
from mxtrain.trainer.resume import find
from mxtrain.trainer.run import fit

FILES = {
    "config.yaml",
    "log.txt",
    "metrics.csv",
    "metrics.jsonl",
    "model-symbol.json",
    "preprocessing.json",
}


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_config(tmp_path)


def test_runs_are_numbered_in_the_current_folder(config: Path) -> None:
    spec = load("config.yaml")
    first, second = (fit(spec, Notes()).output for _ in range(2))
    assert (first, second) == (str(Path("runs", "0001")), str(Path("runs", "0002")))
    (Path("runs") / "0041").mkdir()
    assert make_folder(None, overwrite=False) == Path("runs", "0042")


def test_a_folder_with_a_run_is_refused_before_anything_is_read(config: Path) -> None:
    train(config)
    spec = load("config.yaml")
    (config.parent / "train.csv").unlink()
    with pytest.raises(FileExistsError, match=r"holds a run already.*--overwrite"):
        fit(spec, Notes(), config.parent / "run")


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_config_that_is_not_of_a_run_is_never_replaced(config: Path, overwrite: bool) -> None:
    before = config.read_text()
    with pytest.raises(FileExistsError, match=r"has a config.yaml of its own.*another folder"):
        fit(load("config.yaml"), Notes(), config.parent, overwrite=overwrite)
    with pytest.raises(
        SetupError, match=r"holds no run, but a config; .*mxtrain fit .*config.yaml"
    ):
        find(str(config.parent))
    assert config.read_text() == before
    assert not (config.parent / "log.txt").exists()


def test_a_config_that_cannot_be_read_is_not_replaced_either(config: Path) -> None:
    folder = config.parent / "other"
    folder.mkdir()
    (folder / "config.yaml").write_text("symbol: [\n")
    with pytest.raises(FileExistsError, match="of its own"):
        fit(load("config.yaml"), Notes(), folder, overwrite=True)


def test_a_run_that_was_killed_when_it_began_is_known_by_its_config(config: Path) -> None:
    run = Path(train(config).output)
    begun = config.parent / "run2"
    begun.mkdir()
    (begun / "config.yaml").write_text((run / "config.yaml").read_text())
    with pytest.raises(FileExistsError, match="holds a run already"):
        fit(load("config.yaml"), Notes(), begun)
    assert find(str(begun)).position is None


def test_overwrite_replaces_the_run_and_nothing_else(config: Path) -> None:
    old = Path(train(config, "fit.num_epoch=5", "fit.checkpoint.keep=null").output)
    (old / "notes.txt").write_text("mine")
    result = train(config, "fit.num_epoch=2", overwrite=True)
    made = {f"model-{n:04d}.{kind}" for n in (1, 2) for kind in ("params", "safetensors")}
    assert set(result.files) == FILES | made | {"notes.txt"}
    assert len((old / "metrics.jsonl").read_text().splitlines()) == 2
    assert len((old / "metrics.csv").read_text().splitlines()) == 3


def test_a_file_in_place_of_the_folder(config: Path) -> None:
    (config.parent / "run").write_text("x")
    with pytest.raises(FileExistsError, match="is a file, not a folder"):
        train(config)


def test_bad_data_leave_no_folder_behind(config: Path) -> None:
    (config.parent / "train.csv").write_text("x,y,kind\n1,two,oak\n")
    with pytest.raises(ValueError, match="is not a number"):
        fit(load("config.yaml", ["data.batch_size=1"]), Notes())
    assert not Path("runs").exists()


def test_a_metric_that_cannot_measure_leaves_no_folder_behind(config: Path) -> None:
    with pytest.raises(RuntimeError, match=r"fit\.metrics: f1 cannot measure softmax_output"):
        fit(load("config.yaml", ["fit.metrics=[f1]"]), Notes())
    assert not Path("runs").exists()


def test_metrics_files_have_a_row_per_epoch(config: Path) -> None:
    folder = Path(train(config).output)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    keys = ["epoch", "lr"]
    keys += [f"{s}_{n}" for s in ("train", "eval") for n in ("loss", "accuracy", "cross-entropy")]
    keys += ["samples_per_second", "seconds"]
    assert [list(row) for row in rows] == [keys] * 3
    with (folder / "metrics.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [{k: float(v) for k, v in row.items()} for row in table] == rows


def test_preprocessing_and_log_are_complete(config: Path) -> None:
    folder = Path(train(config, "data.features.scale=standard").output)
    stored = json.loads((folder / "preprocessing.json").read_text())
    assert stored["features"]["columns"] == ["x", "y"]
    assert stored["features"]["scale"] == "standard"
    assert stored["labels"]["softmax_label"]["names"] == ["ash", "elm", "oak"]
    log = (folder / "log.txt").read_text()
    for expected in (
        "mxtrain ",
        "NumPy ",
        "network 2 -> fc1 8 -> act1 8 -> fc2 3 -> softmax 3; 51 parameters",
        "train train.csv, 50 rows",
        "optimizer sgd(learning_rate=0.1, momentum=0.9), rescale_grad 0.125",
        "classes of softmax_label: ash, elm, oak",
        "parameter fc1_weight 8x2: Xavier: uniform",
        "parameter fc1_bias 8: zero (name ends with bias); lr_mult 1, wd_mult 0",
        "epoch 3/3; train loss",
        "done after 3 epochs",
    ):
        assert expected in log


@pytest.mark.parametrize(
    ("every", "keep", "best", "kept"),
    [
        (1, None, 2, [1, 2, 3, 4, 5, 6, 7]),
        (1, 2, 3, [3, 6, 7]),
        (3, 2, 5, [5, 6, 7]),
        (3, 1, 1, [1, 7]),
        (10, 1, 7, [7]),
        (2, 3, 4, [4, 6, 7]),
    ],
)
def test_newest_and_best_weights_stay(
    config: Path, every: int, keep: int | None, best: int, kept: list[int]
) -> None:
    module = build(load("config.yaml")).module
    follower = Best(FitSpec(), [], has_eval=True)
    spec = CheckpointSpec(every=every, keep=keep)
    files = RunFolder(config.parent)
    files.write_text("preprocessing.json", "{}")
    checkpoints = Checkpoints(files, module, follower, spec, lambda: ({}, {}))
    bias = module.executor.arg_dict["fc1_bias"]
    for epoch in range(1, 8):
        bias[...] = epoch
        module.mark_changed()
        follower.see(epoch, {}, {"loss": abs(epoch - best)}, module)
        checkpoints.after_epoch(Position(epoch), is_wanted=epoch == 7)
    found = sorted(config.parent.glob("model-*.params"))
    assert [int(path.stem[-4:]) for path in found] == kept
    for path, epoch in zip(found, kept, strict=True):
        assert set(weights(config.parent, path.name)["fc1_bias"].tolist()) == {epoch}
    assert (bias == 7).all()
    assert checkpoints.best_file() == f"model-{best:04d}.params"
    assert checkpoints.newest == "model-0007.params"
    found[kept.index(best)].unlink()
    assert checkpoints.best_file() == ""


def test_weights_files_load_as_a_module(config: Path) -> None:
    import mxtrain as mx

    folder = Path(train(config).output)
    symbol, arg_params, aux_params = mx.model.load_checkpoint(str(folder / "model"), 3)
    assert symbol.list_outputs() == ["softmax_output"]
    assert sorted(arg_params) == ["fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight"]
    assert aux_params == {}
