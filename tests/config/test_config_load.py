"""A right config: what the spec says, what is defaulted, what is inherited."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from config_base import BASE, write_config

from mxtrain.config import (
    CheckpointSpec,
    Component,
    ConfigErrors,
    EarlyStoppingSpec,
    FractionSpec,
    NodeSpec,
    RunSpec,
    SourceSpec,
    load,
)

SMALL = """\
data:
  train: {path: train.csv, label: digit}
symbol:
  - {op: FullyConnected, num_hidden: 3}
  - {op: SoftmaxOutput}
"""


def loaded(folder: Path, text: str) -> RunSpec:
    return load(write_config(folder, text))


def test_defaults(tmp_path: Path) -> None:
    spec = loaded(tmp_path, SMALL)
    assert (spec.seed, spec.backend, spec.threads, spec.plugins) == (0, "numpy", None, ())
    assert spec.initializer == Component("xavier")
    assert spec.optimizer == Component("sgd")
    assert spec.lr_scheduler is None
    assert (spec.fit.num_epoch, spec.fit.begin_epoch) == (10, 0)
    assert spec.fit.checkpoint == CheckpointSpec(every=1, keep=3)
    assert spec.fit.early_stopping is None
    assert spec.fit.clip_global_norm is None
    assert spec.fit.metrics == (Component("accuracy"),)
    assert (spec.data.batch_size, spec.data.shuffle, spec.data.last_batch) == (32, True, "keep")
    assert spec.data.features.scale == "none"
    assert spec.data.eval is None


def test_nodes_get_names_and_inputs(tmp_path: Path) -> None:
    spec = loaded(tmp_path, SMALL)
    assert spec.symbol == (
        NodeSpec(
            op="FullyConnected",
            name="fullyconnected0",
            inputs=("data",),
            attrs={"num_hidden": 3},
        ),
        NodeSpec(op="SoftmaxOutput", name="softmaxoutput0", inputs=("fullyconnected0",)),
    )


def test_an_automatic_name_avoids_those_given(tmp_path: Path) -> None:
    text = SMALL.replace("{op: SoftmaxOutput}", "{op: SoftmaxOutput, name: fullyconnected0}")
    names = [node.name for node in loaded(tmp_path, text).symbol]  # type: ignore[union-attr]
    assert names == ["fullyconnected1", "fullyconnected0"]


def test_all_that_is_given_is_there(tmp_path: Path) -> None:
    text = BASE.replace("num_epoch: 3", "num_epoch: 3\n  early_stopping: {metric: ce, patience: 2}")
    text = text.replace(
        "batch_size: 4", "batch_size: 4\n  class_weight: {0: 1, 1: 2.5}\n  ignore: [x3]"
    )
    spec = loaded(tmp_path, text)
    assert spec.seed == 7
    assert spec.initializer == Component("xavier", {"magnitude": 2})
    assert spec.lr_scheduler == Component("factor", {"step": 100, "factor": 0.9, "base_lr": 0.1})
    assert spec.fit.metrics[0] == Component("accuracy")
    assert spec.fit.early_stopping == EarlyStoppingSpec(metric="ce", patience=2)
    assert spec.data.class_weight == {"0": 1.0, "1": 2.5}
    assert spec.data.ignore == ("x3",)
    assert spec.data.features.scale == "standard"


@pytest.mark.parametrize(("word", "number"), [("1e-3", 1e-3), ("1E-3", 1e-3), (".5", 0.5)])
def test_numbers_are_numbers(tmp_path: Path, word: str, number: float) -> None:
    spec = loaded(tmp_path, BASE.replace("learning_rate: 0.1", f"learning_rate: {word}"))
    assert spec.optimizer.settings["learning_rate"] == number


def test_paths_are_absolute_and_relative_to_the_config(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    write_config(tmp_path, BASE)
    path = inner / "run.yaml"
    path.write_text(BASE.replace("train.csv", "../train.csv").replace("test.csv", "../test.csv"))
    assert load(path).data.train.path == str((tmp_path / "train.csv").resolve())


def test_eval_inherits_what_it_leaves_out(tmp_path: Path) -> None:
    spec = loaded(tmp_path, BASE)
    assert isinstance(spec.data.eval, SourceSpec)
    assert spec.data.eval.label_names == ("digit",)
    assert spec.data.eval.kind == "table"
    assert str(spec.data.eval.path).endswith("test.csv")


def test_eval_from_the_same_npz(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.npz", "w") as archive:
        for name in ("x", "y", "x_test", "y_test"):
            archive.writestr(f"{name}.npy", b"")
    text = BASE.replace("{path: train.csv, label: digit}", "{path: all.npz, data: x, label: y}")
    right = text.replace("{path: test.csv}", "{data: x_test, label: y_test}")
    spec = loaded(tmp_path, right)
    assert spec.data.eval == SourceSpec(
        path=str((tmp_path / "all.npz").resolve()), data="x_test", label="y_test", kind="npz"
    )
    with pytest.raises(ConfigErrors, match=r"4:16: data.eval.data: 'all.npz' has no array 'x_tst'"):
        loaded(tmp_path, right.replace("x_test", "x_tst"))


@pytest.mark.parametrize(
    ("arrays", "given", "data", "label"),
    [
        (["label", "data", "y"], "", "data", "label"),
        (["X", "y"], "", "X", "y"),
        (["x", "y"], "", "x", "y"),
        (["X", "y", "z"], ", label: z", "X", "z"),
        (["X", "y", "z"], ", data: z, label: y", "z", "y"),
    ],
)
def test_arrays_that_are_called_as_usual_need_no_names(
    tmp_path: Path, arrays: list[str], given: str, data: str, label: str
) -> None:
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        for name in arrays:
            archive.writestr(f"{name}.npy", b"")
    text = BASE.replace("{path: train.csv, label: digit}", f"{{path: rows.npz{given}}}")
    train = loaded(tmp_path, text.replace("  eval: {path: test.csv}\n", "")).data.train
    assert (train.data, train.label) == (data, label)


def test_the_names_in_an_npz_file_are_read_without_numpy(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "rows.npz", "w") as archive:
        for name in ("X", "y"):
            archive.writestr(f"{name}.npy", b"")
    config = tmp_path / "config.yaml"
    text = BASE.replace("{path: train.csv, label: digit}", "{path: rows.npz}")
    config.write_text(text.replace("  eval: {path: test.csv}\n", ""))
    code = (
        "import sys; from mxtrain.config import load; spec = load(sys.argv[1]); "
        "sys.exit('numpy' in sys.modules or spec.data.train.label != 'y')"
    )
    assert subprocess.run([sys.executable, "-c", code, str(config)], check=False).returncode == 0


def test_eval_as_a_fraction_or_nothing(tmp_path: Path) -> None:
    spec = loaded(tmp_path, BASE.replace("{path: test.csv}", "{fraction: 0.2}"))
    assert spec.data.eval == FractionSpec(fraction=0.2)
    assert loaded(tmp_path, BASE.replace("{path: test.csv}", "")).data.eval is None


def test_idx_files_need_no_label_column(tmp_path: Path) -> None:
    for name in ("images", "labels"):
        (tmp_path / f"{name}-idx.gz").write_bytes(b"")
    source = "{images: images-idx.gz, labels: labels-idx.gz}"
    text = BASE.replace("{path: train.csv, label: digit}", source)
    spec = loaded(tmp_path, text.replace("  eval: {path: test.csv}\n", ""))
    assert spec.data.train.kind == "idx"


def test_eval_that_lacks_a_column(tmp_path: Path) -> None:
    path = write_config(tmp_path, BASE)
    (tmp_path / "test.csv").write_text("x1,digit\n1,2\n")
    with pytest.raises(ConfigErrors) as caught:
        load(path)
    text = "lacks the column 'x2', 'x3' of the training data"
    assert str(caught.value) == f"{path}:4:16: data.eval.path: {text}"


def test_a_header_that_cannot_be_used(tmp_path: Path) -> None:
    path = write_config(tmp_path, BASE)
    (tmp_path / "train.csv").write_text("x1,x1,digit\n1,2,3\n")
    with pytest.raises(ConfigErrors, match=r"3:17: data.train.path: cannot be read: .*two columns"):
        load(path)
    (tmp_path / "train.csv").write_text("")
    with pytest.raises(ConfigErrors, match=r"3:17: data.train.path: cannot be read: .*empty"):
        load(path)


def test_names_in_any_case_and_by_alias(tmp_path: Path) -> None:
    text = BASE.replace("name: sgd", "name: SGD").replace("name: factor", "name: FactorScheduler")
    spec = loaded(tmp_path, text.replace("[accuracy, ce]", "[acc, cross-entropy, nll-loss]"))
    assert spec.optimizer.name == "sgd"
    assert spec.lr_scheduler is not None
    assert spec.lr_scheduler.name == "factor"
    assert [metric.name for metric in spec.fit.metrics] == [
        "accuracy",
        "crossentropy",
        "negativeloglikelihood",
    ]


def test_one_metric_needs_no_list_and_none_can_be_asked_for(tmp_path: Path) -> None:
    spec = loaded(tmp_path, BASE.replace("[accuracy, ce]", "mse"))
    assert spec.fit.metrics == (Component("mse"),)
    assert loaded(tmp_path, BASE.replace("[accuracy, ce]", "[]")).fit.metrics == ()


def test_one_base_rate(tmp_path: Path) -> None:
    def rates(text: str) -> tuple[object, object]:
        spec = loaded(tmp_path, text)
        assert spec.lr_scheduler is not None
        return spec.optimizer.settings["learning_rate"], spec.lr_scheduler.settings["base_lr"]

    assert rates(BASE) == (0.1, 0.1)
    bare = BASE.replace("  learning_rate: 0.1\n", "")
    assert rates(bare) == (0.01, 0.01)
    assert rates(bare.replace("name: sgd", "name: adam")) == (0.001, 0.001)
    assert rates(bare.replace("step: 100", "step: 100, base_lr: 0.3")) == (0.3, 0.3)
    assert rates(BASE.replace("step: 100", "step: 100, base_lr: 0.1")) == (0.1, 0.1)


def test_anchors_share_settings(tmp_path: Path) -> None:
    text = BASE.replace(
        "{op: Activation, name: relu1, act_type: relu}",
        "{<<: &a {op: Activation, act_type: relu}, name: relu1}\n  - {<<: *a, name: relu2}",
    )
    symbol = loaded(tmp_path, text).symbol
    assert isinstance(symbol, tuple)
    assert symbol[2].attrs == symbol[1].attrs == {"act_type": "relu"}


def test_a_plugin_registers_what_the_config_names(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from mxtrain.optimizer import SGD\n"
        "from mxtrain.optimizer import registry\n\n\n"
        "class TableTestOnlyOptimizer(SGD):\n"
        "    def __init__(self, warm: int, soft=0.5, **kwargs):\n"
        "        super().__init__(**kwargs)\n\n\n"
        "registry.register(TableTestOnlyOptimizer)\n"
    )
    text = BASE.replace("seed: 7", "plugins: [mine.py]")
    text = text.replace("name: sgd", "name: tabletestonlyoptimizer\n  warm: 3\n  soft: 0.25")
    try:
        spec = loaded(tmp_path, text)
        assert spec.plugins == (str((tmp_path / "mine.py").resolve()),)
        assert spec.optimizer.settings == {"warm": 3, "soft": 0.25, "learning_rate": 0.1}
        with pytest.raises(ConfigErrors, match=r"expected a whole number, received 'x'"):
            loaded(tmp_path, text.replace("warm: 3", "warm: x"))
        with pytest.raises(ConfigErrors, match=r"optimizer.warm: missing: tabletestonlyopt"):
            loaded(tmp_path, text.replace("  warm: 3\n", ""))
    finally:
        from mxtrain.optimizer import registry

        registry._classes.pop("tabletestonlyoptimizer", None)


def test_a_plugin_that_fails_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("x = 1\nraise ValueError('no luck')\n")
    with pytest.raises(
        ConfigErrors,
        match=r"1:11: plugins\[0\]: plugin 'bad.py': raised ValueError: no luck \(line 2\)",
    ):
        loaded(tmp_path, BASE.replace("seed: 7", "plugins: [bad.py]"))
    (tmp_path / "worse.py").write_text("def f(:\n")
    with pytest.raises(ConfigErrors, match=r"raised SyntaxError: .*line 1"):
        loaded(tmp_path, BASE.replace("seed: 7", "plugins: [worse.py]"))


def test_a_broken_config_costs_no_heavy_import(tmp_path: Path) -> None:
    text = BASE.replace("batch_size", "batch_sise").replace("num_epoch", "num_epochs")
    write_config(tmp_path, text.replace("name: sgd", "name: sgdd").replace("relu}", "rellu}"))
    code = (
        "import sys\n"
        "from mxtrain.config import ConfigErrors, load\n"
        "try:\n    load('config.yaml')\n"
        "except ConfigErrors as errors:\n    print(len(errors.problems))\n"
        "heavy = {'numpy', 'polars', 'rich', 'pydantic'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout == "4\n[]\n"


@pytest.mark.parametrize("name", ["pipe.csv", "pipe.npz"])
def test_data_in_a_pipe_are_refused_rather_than_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(ConfigErrors, match=r"train\.path: cannot be read: is a pipe or a device"):
        loaded(tmp_path, SMALL.replace("train.csv", name))
