"""Kinds of data and networks: tables, arrays, images; values, several outputs, own losses."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
from trainer_runs import CONFIG, KINDS, Notes, points, recorded, train, weights, write_config

from mxtrain.config import ConfigErrors, load
from mxtrain.io.errors import DataError
from mxtrain.metric import registry
from mxtrain.trainer.build import build
from mxtrain.trainer.data import shown_path
from mxtrain.trainer.errors import SetupError
from mxtrain.trainer.evaluate import evaluate
from mxtrain.trainer.saved import open_model
from mxtrain.trainer.saved_data import labelled_rows

NET = CONFIG[CONFIG.index("symbol:") : CONFIG.index("optimizer:")]


def with_network(nodes: str, text: str = CONFIG) -> str:
    return text.replace(NET, f"symbol:\n{nodes}")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_config(tmp_path)


def test_parquet_and_csv_give_the_same_run(config: Path) -> None:
    import polars as pl

    for name in ("train", "test"):
        table = pl.read_csv(config.parent / f"{name}.csv")
        table.write_parquet(config.parent / f"{name}.parquet")
    one = train(config, output=config.parent / "one")
    files = ("data.train.path=train.parquet", "data.eval.path=test.parquet")
    two = train(config, *files, output=config.parent / "two")
    assert recorded(Path(one.output)) == recorded(Path(two.output))


def test_arrays_from_npz(config: Path) -> None:
    for name, count, seed in (("train", 50, 1), ("test", 20, 2)):
        data, kinds = points(count, seed)
        np.savez(config.parent / f"{name}.npz", x=data, kind=kinds)
    notes = Notes()
    source = "data.train={path: train.npz, data: x, label: kind}"
    train(config, source, "data.eval={path: test.npz}", "fit.num_epoch=20", notes=notes)
    assert notes.rows[-1].eval["accuracy"] > 0.9
    assert notes.info is not None
    assert notes.info.classes == {"softmax_label": ("0", "1", "2")}


@pytest.mark.parametrize("scale", ["none", "minmax", "standard"])
def test_images_from_idx_files(config: Path, scale: str) -> None:
    labels = (np.arange(60) % 3).astype(np.uint8)
    images = np.random.default_rng(0).integers(0, 60, (60, 4, 5), dtype=np.uint8)
    images[np.arange(60), labels] += 150  # a bright row tells the class
    header = struct.pack(">IIII", 2051, 60, 4, 5)
    (config.parent / "images.gz").write_bytes(gzip.compress(header + images.tobytes()))
    (config.parent / "labels").write_bytes(struct.pack(">II", 2049, 60) + labels.tobytes())
    notes = Notes()
    train(
        config,
        "data.train={images: images.gz, labels: labels}",
        "data.eval={fraction: 0.25}",
        f"data.features.scale={scale}",
        "symbol[1].act_type=relu",
        f"optimizer={{name: adam, learning_rate: {0.02 if scale == 'minmax' else 0.002}}}",
        "fit.num_epoch=30",
        notes=notes,
    )
    assert notes.rows[-1].eval["accuracy"] > 0.9
    assert notes.info is not None
    assert notes.info.network.startswith("4x5 -> fc1 8")
    assert (notes.info.train_rows, notes.info.eval_rows) == (45, 15)


def test_text_labels_are_shown_by_name(config: Path) -> None:
    notes = Notes()
    train(config, notes=notes)
    assert notes.info is not None
    assert notes.info.classes == {"softmax_label": tuple(sorted(KINDS))}


def test_a_class_that_training_does_not_know(config: Path) -> None:
    with (config.parent / "test.csv").open("a") as file:
        file.write("0.1,0.2,oka\n")
    with pytest.raises(DataError, match=r"test\.csv:22: .*'oka' is not among.*mean 'oak'"):
        train(config)


@pytest.mark.parametrize(
    ("scale", "low", "high"), [("standard", -3.0, 3.0), ("minmax", 0.0, 1.0), ("none", -4.0, 4.0)]
)
def test_scales_are_learned_on_the_training_rows(
    config: Path, scale: str, low: float, high: float
) -> None:
    built = build(load(config, [f"data.features.scale={scale}"]))
    data = built.data.train.data
    assert low <= data.min() < data.max() <= high
    if scale == "standard":
        np.testing.assert_allclose(data.mean(0), 0, atol=1e-6)
        np.testing.assert_allclose(data.std(0), 1, rtol=1e-5)
        rows = built.data.eval
        assert rows is not None
        assert abs(rows.data.mean()) > 1e-4


def test_an_eval_fraction_has_its_share_of_every_class(config: Path) -> None:
    def held_out(seed: int) -> tuple[list[int], bytes]:
        built = build(load(config, ["data.eval={fraction: 0.3}", f"seed={seed}"]))
        rows = built.data.eval
        assert rows is not None
        assert len(rows) + len(built.data.train) == 50
        counts = np.bincount(rows.labels[0].astype(int), minlength=3)
        return counts.tolist(), rows.data.tobytes()

    counts, rows = held_out(1)
    assert sum(counts) == 15
    assert all(
        abs(count - 0.3 * total) < 1 for count, total in zip(counts, (17, 16, 17), strict=True)
    )
    assert held_out(1)[1] == rows
    assert held_out(2)[1] != rows


def test_a_fraction_that_leaves_a_side_empty(config: Path) -> None:
    with pytest.raises(DataError, match=r"fraction 0\.001 of 50 rows leaves one side empty"):
        train(config, "data.eval={fraction: 0.001}")


def test_a_batch_larger_than_the_data(config: Path) -> None:
    with pytest.raises(DataError, match="batch_size 51 is larger than the 50 training rows"):
        train(config, "data.batch_size=51")


def test_more_classes_than_outputs(config: Path) -> None:
    with pytest.raises(DataError, match="3 classes, but the output 'softmax' tells 2 apart"):
        train(config, "symbol[2].num_hidden=2")


VALUES = """\
  - {op: FullyConnected, name: fc, num_hidden: WIDTH}
  - {op: OPERATOR, name: out}
"""


def value_config(folder: Path, text: str) -> Path:
    """A config with tables of a, b and what is made of them: u, v (values) and w (a class)."""
    config = write_config(folder, text.replace("metrics: [accuracy, ce]", "checkpoint: {}"))
    for name, count, seed in (("train", 40, 1), ("test", 15, 2)):
        data, kinds = points(count, seed)
        rows = (
            f"{a},{b},{2 * a + b},{a - b},{k}"
            for (a, b), k in zip(data.tolist(), kinds.tolist(), strict=True)
        )
        (folder / f"{name}.csv").write_text("\n".join(["a,b,u,v,w", *rows]) + "\n")
    return config


@pytest.mark.parametrize("width", [1, 2])
@pytest.mark.parametrize("operator", ["LinearRegressionOutput", "MAERegressionOutput"])
def test_regression(tmp_path: Path, width: int, operator: str) -> None:
    nodes = VALUES.replace("WIDTH", str(width)).replace("OPERATOR", operator)
    config = value_config(tmp_path, with_network(nodes))
    label = "data.train.label=u" if width == 1 else "data.train.label=[u, v]"
    rest = "data.ignore=[v, w]" if width == 1 else "data.ignore=[w]"
    notes = Notes()
    adam = "optimizer={name: adam, learning_rate: 0.05}"
    train(config, label, rest, "fit.num_epoch=15", adam, notes=notes)
    losses = [row.eval["loss"] for row in notes.rows]
    assert losses[-1] < 0.8 * losses[0]
    assert notes.info is not None
    shown = "rmse" if operator.startswith("Linear") else "mae"
    assert notes.info.eval_columns == ("loss", shown)
    assert notes.info.classes == {}


SEVERAL = """\
  - {op: FullyConnected, name: fc, num_hidden: 8}
  - {op: FullyConnected, name: a, num_hidden: 3, inputs: fc}
  - {op: SoftmaxOutput, name: cls, inputs: a}
  - {op: FullyConnected, name: b, num_hidden: 1, inputs: fc}
  - {op: LinearRegressionOutput, name: val, inputs: b}
"""
LABELS = ("data.train.label=[w, u]", "data.ignore=[v]")


def test_several_outputs_each_with_its_loss_and_metric(tmp_path: Path) -> None:
    config = value_config(tmp_path, with_network(SEVERAL))
    notes = Notes()
    train(config, *LABELS, "fit.num_epoch=10", "optimizer.learning_rate=0.01", notes=notes)
    shown = notes.rows[-1].eval
    assert list(shown) == ["loss", "cls_loss", "val_loss", "accuracy", "rmse"]
    assert shown["loss"] == pytest.approx(shown["cls_loss"] + shown["val_loss"])
    assert shown["rmse"] ** 2 == pytest.approx(shown["val_loss"], rel=1e-4)
    assert shown["accuracy"] > 0.9
    assert notes.info is not None
    assert notes.info.network == "2, fc 8, a 3, cls 3, b 1, val 1"
    assert notes.info.classes == {"cls_label": ("0", "1", "2")}


def test_two_outputs_with_classes_have_a_metric_each(tmp_path: Path) -> None:
    nodes = SEVERAL.replace("LinearRegressionOutput", "SoftmaxOutput").replace(
        "num_hidden: 1", "num_hidden: 3"
    )
    config = value_config(tmp_path, with_network(nodes))
    notes = Notes()
    labels = ("data.train.label=[w, w]", "data.ignore=[u, v]")
    stopping = "fit.early_stopping={metric: accuracy, patience: 9}"
    result = train(config, *labels, "fit.metrics=[accuracy]", stopping, notes=notes)
    assert {"cls_accuracy", "val_accuracy"} <= set(notes.rows[0].eval)
    assert result.best_metric == "eval_cls_accuracy"


def test_a_metric_for_one_output_by_name(tmp_path: Path) -> None:
    config = value_config(tmp_path, with_network(SEVERAL))
    notes = Notes()
    named = "fit.metrics=[{name: mae, output_names: [val_output]}]"
    train(config, *LABELS, named, notes=notes)
    assert list(notes.rows[0].eval) == ["loss", "cls_loss", "val_loss", "mae"]
    wrong = "fit.metrics=[{name: mae, output_names: [val]}]"
    with pytest.raises(SetupError, match=r"output_names: unknown output 'val'.*val_output"):
        train(config, *LABELS, wrong, output=tmp_path / "two")


def test_labels_for_several_outputs_must_be_as_many(tmp_path: Path) -> None:
    config = value_config(tmp_path, with_network(SEVERAL))
    with pytest.raises(ConfigErrors, match="has 2 labels, 'cls_label', 'val_label'; name a column"):
        train(config, "data.train.label=w", "data.ignore=[u, v]")
    arrays = tmp_path / "rows.npz"
    np.savez(arrays, data=np.ones((12, 2), "float32"), label=np.ones(12, "float32"))
    with pytest.raises(DataError, match=r"has 2 labels \(cls_label, val_label\), the data have 1"):
        train(config, f"data={{train: {{path: {arrays}, label: label}}, batch_size: 4}}")


RESHAPED_LABEL = """\
  - {op: Variable, name: kind_label}
  - {op: Reshape, name: flat, shape: [-1], inputs: kind_label}
  - {op: FullyConnected, name: fc1, num_hidden: 3, inputs: data}
  - {op: SoftmaxOutput, name: softmax, inputs: [fc1, flat]}
"""


def test_a_label_may_pass_through_an_operator(tmp_path: Path) -> None:
    """As MXNet's scripts reshape it."""
    plain = "".join(RESHAPED_LABEL.splitlines(keepends=True)[2:]).replace("[fc1, flat]", "fc1")
    configs = [
        write_config(tmp_path / name, with_network(nodes))
        for name, nodes in (("one", RESHAPED_LABEL), ("two", plain))
    ]
    notes = [Notes(), Notes()]
    folder, _ = (train(c, notes=n).output for c, n in zip(configs, notes, strict=True))
    assert [row.eval for row in notes[0].rows] == [row.eval for row in notes[1].rows]
    model = open_model(Path(folder))
    assert model.spec is not None
    chosen = model.spec.fit.metrics
    found = evaluate(model, labelled_rows(model, configs[0].parent / "test.csv"), chosen)
    assert found.values == dict(notes[0].rows[-1].eval)


OWN_LOSS = """\
  - {op: Variable, name: target_label}
  - {op: FullyConnected, name: fc, num_hidden: 1, inputs: data}
  - {op: Reshape, name: flat, shape: [-1]}
  - {op: elemwise_sub, name: difference, inputs: [flat, target_label]}
  - {op: square, name: squared}
  - {op: MakeLoss, name: loss}
"""


def test_a_loss_made_of_operators_learns_as_the_ready_one(tmp_path: Path) -> None:
    """The gradient of the square is twice that of LinearRegressionOutput."""
    own = value_config(tmp_path / "own", with_network(OWN_LOSS))
    nodes = VALUES.replace("WIDTH", "1").replace("OPERATOR", "LinearRegressionOutput")
    ready = value_config(tmp_path / "ready", with_network(nodes))
    one, two = Notes(), Notes()
    columns = ("data.train.label=u", "data.ignore=[v, w]")
    first = train(own, *columns, "optimizer.learning_rate=0.05", notes=one)
    second = train(ready, *columns, notes=two)
    found = weights(first.output, first.weights)["fc_weight"]
    expected = weights(second.output, second.weights)["fc_weight"]
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert one.rows[-1].eval["loss"] == pytest.approx(two.rows[-1].eval["loss"], rel=1e-3)


def test_a_loss_that_is_a_mean_counts_for_its_rows(tmp_path: Path) -> None:
    nodes = OWN_LOSS.replace("  - {op: MakeLoss", "  - {op: mean, name: mean}\n  - {op: MakeLoss")
    config = value_config(tmp_path, with_network(nodes))
    reference = value_config(tmp_path / "rows", with_network(OWN_LOSS))
    still = ("data.train.label=u", "data.ignore=[v, w]", "optimizer.learning_rate=0")
    one, two = Notes(), Notes()
    train(config, *still, notes=one)
    train(reference, *still, notes=two)
    assert one.rows[0].eval["loss"] == pytest.approx(two.rows[0].eval["loss"], rel=1e-5)


def test_probabilities_as_labels(tmp_path: Path) -> None:
    nodes = (
        "  - {op: FullyConnected, name: fc, num_hidden: 2}\n"
        "  - {op: SoftmaxOutput, name: softmax}\n"
    )
    config = write_config(tmp_path, with_network(nodes).replace("metrics: [accuracy, ce]", ""))
    (tmp_path / "train.csv").write_text(
        "x,p,q\n" + "".join(f"{i / 10},{i / 10},{1 - i / 10}\n" for i in range(11))
    )
    notes = Notes()
    changes = ("data.eval=null", "data.train.label=[p, q]", "fit.metrics=[]", "fit.num_epoch=9")
    train(config, *changes, notes=notes)
    losses = [row.train["loss"] for row in notes.rows]
    assert losses == sorted(losses, reverse=True)
    assert notes.info is not None
    assert notes.info.classes == {}


def test_ignored_labels_keep_their_numbers(config: Path) -> None:
    rows = [(0.1 * i, -0.1 * i, (-1, 0, 2)[i % 3]) for i in range(24)]
    text = "x,y,kind\n" + "".join(f"{x},{y},{k}\n" for x, y, k in rows)
    (config.parent / "train.csv").write_text(text)
    changes = ("data.eval=null", "symbol[3].use_ignore=true", "fit.metrics=[]")
    built = build(load(config, list(changes)))
    assert built.data.train.labels[0].tolist() == [k for *_, k in rows]


PYTHON = """\
import mxtrain as mx
def get_symbol(hidden, head="SoftmaxOutput", extra=None):
    fc1 = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=hidden, name="fc1")
    act = mx.sym.Activation(fc1, act_type="tanh", name="act1")
    out = mx.sym.FullyConnected(act, num_hidden=3, name="fc2")
    net = mx.sym.SoftmaxOutput(out, name="softmax")
    if extra == "open":
        return mx.sym.Group([net, act])
    if extra == "blocked":
        return mx.sym.Group([net, mx.sym.BlockGrad(act, name="seen")])
    return net
"""


@pytest.fixture
def python_config(config: Path) -> Path:
    (config.parent / "net.py").write_text(PYTHON)
    config.write_text(CONFIG.replace(NET, "symbol: {python: net.py, hidden: 8}\n"))
    return config


def test_a_network_from_python_or_a_file_is_that_of_the_list(python_config: Path) -> None:
    folder = python_config.parent
    made = train(python_config, output=folder / "one")
    listed = train(write_config(folder / "list"), output=folder / "two")
    graph = folder / "one" / "model-symbol.json"
    python_config.write_text(CONFIG.replace(NET, f"symbol: {{file: {graph}}}\n"))
    read = train(python_config, output=folder / "three")
    files = [Path(run.output, run.weights).read_bytes() for run in (made, listed, read)]
    assert files[0] == files[1] == files[2]


def test_an_output_without_a_loss_is_refused_or_only_shown(python_config: Path) -> None:
    with pytest.raises(SetupError, match="the output 'act1_output' is no loss"):
        train(python_config, "symbol.extra=open")
    assert not (python_config.parent / "run").exists()
    notes = Notes()
    assert train(python_config, "symbol.extra=blocked", notes=notes).status == "done"
    assert list(notes.rows[0].train) == ["loss", "accuracy", "cross-entropy"]


def test_an_initializer_of_one_node(config: Path) -> None:
    notes = Notes()
    changes = ("symbol[0].init={weight: {name: constant, value: 0.5}}", "optimizer.learning_rate=0")
    result = train(config, *changes, notes=notes)
    assert set(weights(result.output, result.weights)["fc1_weight"].ravel().tolist()) == {0.5}
    assert notes.info is not None
    rules = {row.name: row.rule for row in notes.info.parameters}
    assert "Constant" in rules["fc1_weight"]
    assert rules["fc2_weight"] == "xavier"
    assert rules["fc1_bias"] == "zero (name ends with bias)"


PLUGIN = """\
import mxtrain as mx
@mx.metric.register
class Halves(mx.metric.EvalMetric):
    def __init__(self, name="halves", **kwargs):
        super().__init__(name, **kwargs)
    def update(self, labels, preds):
        self.sum_metric += 0.5 * len(labels[0])
        self.num_inst += len(labels[0])
"""


def test_a_metric_of_the_users_own(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_classes", dict(registry._classes))
    (config.parent / "halves.py").write_text(PLUGIN)
    notes = Notes()
    train(config, "plugins=[halves.py]", "fit.metrics=[halves]", notes=notes)
    assert notes.rows[0].eval["halves"] == 0.5


def test_paths_are_shown_as_people_write_them(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(config.parent)
    assert shown_path(config) == "config.yaml"
    (config.parent / "deeper").mkdir()
    monkeypatch.chdir(config.parent / "deeper")
    assert shown_path(config) == str(config)
