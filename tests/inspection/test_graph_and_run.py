"""Reports of graphs, run folders and states, and their comparison."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mxtrain import nd, symbol
from mxtrain.checkpoint import run_state
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.inspection.comparison import Change, changed, compare
from mxtrain.inspection.graph import graph_report, weights_beside
from mxtrain.inspection.kind import kind_of
from mxtrain.inspection.report import StateFileReport, report_of
from mxtrain.inspection.run import run_report
from mxtrain.inspection.state import state_report
from mxtrain.op import registry

GOLDEN = Path(__file__).parents[1] / "golden" / "files"
SYMBOLS = sorted(path.name for path in GOLDEN.glob("*-symbol.json"))


@pytest.mark.parametrize("name", SYMBOLS)
def test_recorded_graphs(name: str) -> None:
    report = graph_report(GOLDEN / name)
    stored = json.loads((GOLDEN / name).read_text(encoding="utf-8"))
    ops = [node["op"] for node in stored["nodes"]]
    assert report.written_by == "MXNet 1.9.1"
    assert [node.op for node in report.nodes] == [op for op in ops if op != "null"]
    assert report.operators == {op: ops.count(op) for op in ops if op != "null"}
    assert set(report.unknown) == {op for op in ops if op != "null" and op not in registry}
    variables = {each.name for each in report.variables if each.kind != "output"}
    assert variables == {node["name"] for node in stored["nodes"] if node["op"] == "null"}


def test_shapes_come_from_the_newest_weights_beside(tmp_path: Path) -> None:
    shutil.copy(GOLDEN / "mlp-symbol.json", tmp_path)
    assert graph_report(tmp_path / "mlp-symbol.json").weights == ""
    shutil.copy(GOLDEN / "mlp-0003.params", tmp_path)
    shutil.copy(GOLDEN / "mlp-0003.params", tmp_path / "mlp-0012.params")
    report = graph_report(tmp_path / "mlp-symbol.json")
    assert report.weights == "mlp-0012.params"
    shapes = {each.name: each.shape for each in report.variables}
    assert shapes["data"] == (0, 10)
    assert shapes["bn1_moving_mean"] == (16,)
    assert shapes["softmax_output"] == (0, 5)
    kinds = {each.name: each.kind for each in report.variables}
    assert kinds["bn1_moving_mean"] == "auxiliary"
    nd.save(str(tmp_path / "mlp-0013.params"), {"arg:fc1_weight": nd.zeros((3, 4))})
    report = graph_report(tmp_path / "mlp-symbol.json")
    assert (report.weights, len(report.notes)) == ("", 1)
    assert report.notes[0].startswith("mlp-0013.params does not fit")


def test_strange_names_have_no_weights_beside(tmp_path: Path) -> None:
    (tmp_path / "net.json").write_text("{}", encoding="utf-8")
    assert weights_beside(tmp_path / "net.json") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"nodes": 3}', '{"nodes": [{"op": "null"}]}', "{" * 10_000, "\x00"]
)
def test_bad_graphs(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad-symbol.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(MXNetError, match=r"bad-symbol\.json"):
        report_of(path)


def test_kinds(tmp_path: Path) -> None:
    assert kind_of(GOLDEN / "mlp-0003.params") == "arrays"
    assert kind_of(GOLDEN / "mlp-symbol.json") == "graph"
    (tmp_path / "x.npz").write_bytes(b"damaged")
    assert kind_of(tmp_path / "x.npz") == "arrays"
    with pytest.raises(MXNetError, match=r"did you mean '.*x\.npz'"):
        kind_of(tmp_path / "y.npz")
    with pytest.raises(MXNetError, match=r"without config\.yaml"):
        kind_of(tmp_path)
    (tmp_path / "text").write_text("hello", encoding="utf-8")
    with pytest.raises(FileFormatError, match="no file of arrays"):
        kind_of(tmp_path / "text")
    with pytest.raises(MXNetError, match="--name"):
        report_of(GOLDEN / "mlp-symbol.json", ["fc*"])


CONFIG = """seed: 3
data:
  train: {path: train.csv, label: digit}
  batch_size: 32
symbol:
  - {op: FullyConnected, name: fc1, inputs: [data], num_hidden: 2}
  - {op: SoftmaxOutput, name: softmax, inputs: [fc1]}
optimizer: {name: sgd, learning_rate: 0.1}
fit: {num_epoch: 3}
"""
LOG = "config c.yaml\nepoch 1/3; train loss 1; best so far\nepoch 2/3; train loss 2\n"
SHA = {"weights": "model-0002.params", "graph": "model-symbol.json"}


def metadata(folder: Path, **changes: Any) -> dict[str, Any]:
    files = {
        name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in SHA.values()
    }
    told = {"epoch": 2, "batch": 0, "weights": SHA["weights"], "best_weights": None}
    more = {"restores_best": False, "files": files, "versions": {"NumPy": "2.0"}, "data": None}
    return told | more | changes


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    def make(name: str = "run", log: str = LOG, config: str = CONFIG, loss: float = 2.0) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.yaml").write_text(config, encoding="utf-8")
        (folder / "log.txt").write_text(log, encoding="utf-8")
        rows = [{"epoch": 1, "train_loss": 1.0}, {"epoch": 2, "train_loss": loss, "seconds": 1}]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "metrics.jsonl").write_text(text, encoding="utf-8")
        net = symbol.FullyConnected(symbol.Variable("data"), num_hidden=2, name="fc1")
        symbol.SoftmaxOutput(net, name="softmax").save(str(folder / "model-symbol.json"))
        arrays = {"arg:fc1_weight": nd.ones((2, 4)), "arg:fc1_bias": nd.zeros((2,))}
        for epoch in (1, 2):
            nd.save(str(folder / f"model-000{epoch}.params"), arrays)
        values = {"momentum": np.ones((2, 4), np.float32)}
        run_state.save(folder / "model-0002.safetensors", metadata(folder), values)
        return folder

    return make


def test_run_folder(run: Callable[..., Path]) -> None:
    report = run_report(run())
    assert (report.status, report.epochs, report.num_epoch) == ("unfinished", 2, 3)
    assert report.best_epoch == 1
    assert report.config["optimizer"] == {"name": "sgd", "learning_rate": 0.1}
    first, second = report.checkpoints
    assert (first.epoch, first.weights, first.state, first.best) == (1, "model-0001.params", "", 1)
    assert (second.epoch, second.state, second.problem) == (2, "model-0002.safetensors", "")
    assert [name for name, _ in report.files][:2] == ["config.yaml", "log.txt"]
    assert report.notes == ()


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("done after 2 epochs, 1.00 s; weights x", "done"),
        ("stopped early after 2 epochs, 1.00 s", "stopped early"),
        ("interrupted after 1 epoch, 1.00 s\nCtrl-C", "interrupted"),
        ("failed after 2 epochs, 1.00 s\nthe loss is nan", "failed"),
        ("interrupted after 2 epochs, 1.00 s\nresumed\nepoch 3/3; train loss 1", "unfinished"),
    ],
)
def test_status_is_the_end_of_the_log(run: Callable[..., Path], line: str, status: str) -> None:
    assert run_report(run(log=f"{LOG}{line}\n")).status == status


def test_checkpoints_within_an_epoch_come_before_its_end(run: Callable[..., Path]) -> None:
    folder = run()
    shutil.copy(folder / "model-0001.params", folder / "model-0002-batch-0005.params")
    places = [(each.epoch, each.batch) for each in run_report(folder).checkpoints]
    assert places == [(1, 0), (2, 5), (2, 0)]


def test_changed_and_missing_files_of_a_checkpoint(run: Callable[..., Path]) -> None:
    folder = run()
    assert state_report(folder / "model-0002.safetensors").is_whole
    (folder / "model-symbol.json").write_text("{}", encoding="utf-8")
    (folder / "model-0002.params").unlink()
    state = state_report(folder / "model-0002.safetensors")
    found = {file.name: file.found for file in state.files}
    assert found == {"model-0002.params": "missing", "model-symbol.json": "changed"}
    problem = run_report(folder).checkpoints[-1].problem
    assert problem == "model-0002.params is missing, model-symbol.json is changed"


def test_state_of_a_run(run: Callable[..., Path]) -> None:
    path = run() / "model-0002.safetensors"
    report = report_of(path)
    assert isinstance(report, StateFileReport)
    assert (report.state.epoch, report.state.weights) == (2, "model-0002.params")
    assert [row.shape for row in report.arrays.arrays] == [(2, 4)]
    content = bytearray(path.read_bytes())
    content[content.index(b"epoch")] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileFormatError):
        report_of(path)
    run_state.save(path, {"epoch": 1}, {})
    with pytest.raises(FileFormatError, match="no state of a run of this version"):
        state_report(path)


def test_a_state_with_other_tensors_is_damaged(run: Callable[..., Path]) -> None:
    path = run() / "model-0002.safetensors"
    content = bytearray(path.read_bytes())
    content[-5] ^= 1  # within the momentum
    path.write_bytes(content)
    message = "damaged: its tensors are not those that were written"
    with pytest.raises(FileFormatError, match=message):
        report_of(path)
    assert message in run_report(path.parent).checkpoints[-1].problem


def test_a_state_under_another_name_is_no_checkpoint(run: Callable[..., Path]) -> None:
    folder = run()
    (folder / "model-0002.safetensors").rename(folder / "model-0001.safetensors")
    first, second = run_report(folder).checkpoints
    assert first.problem == "it has been renamed from model-0002.safetensors"
    assert (second.state, second.problem) == ("", "")


def test_damaged_run_folder(run: Callable[..., Path]) -> None:
    folder = run(config="seed: [", log="")
    with (folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
        file.write("{\n")
    (folder / "model-0002.safetensors").write_bytes(b"short")
    report = run_report(folder)
    assert (report.config, report.metrics, report.num_epoch) == ({}, (), None)
    assert len(report.notes) == 2
    assert "metrics.jsonl:3" in report.notes[1]
    assert "damaged" in report.checkpoints[-1].problem


# -- comparison --------------------------------------------------------------------------------


def test_runs(run: Callable[..., Path]) -> None:
    a, same = run("a"), run("b")
    assert compare(a, same).is_equal
    changed_config = CONFIG.replace("num_hidden: 2", "num_hidden: 3").replace("0.1", "0.2")
    found = compare(a, run("c", config=changed_config, loss=2.5))
    assert found.changes == (
        Change("symbol.fc1.num_hidden", 2, 3),
        Change("optimizer.learning_rate", 0.1, 0.2),
        Change("last epoch.train_loss", 2.0, 2.5),
    )
    assert [each.found for each in found.arrays] == ["equal", "equal"]
    assert not found.is_equal
    assert compare(a, run("d", loss=2.001), tolerance=0.01).is_equal


def test_runs_without_weights(run: Callable[..., Path]) -> None:
    a, b = run("a"), run("b")
    for path in b.glob("model-0*"):
        path.unlink()
    assert compare(b, b).is_equal
    (missing,) = compare(a, b).changes
    assert (missing.where, missing.b) == ("weights", None)


def test_graphs(tmp_path: Path) -> None:
    def write(name: str, units: int, act: str) -> Path:
        net = symbol.FullyConnected(symbol.Variable("data"), num_hidden=units, name="fc")
        net = symbol.Activation(net, act_type="relu", name=act)
        path = tmp_path / name
        net.save(str(path))
        return path

    a, b = write("a.json", 2, "act"), write("b.json", 3, "relu")
    assert compare(a, a).is_equal
    places = [change.where for change in compare(a, b).changes]
    assert places == ["fc.num_hidden", "act", "output act_output", "relu", "output relu_output"]


def test_kinds_that_cannot_be_compared() -> None:
    with pytest.raises(MXNetError, match="compare two of one kind"):
        compare(GOLDEN / "mlp-symbol.json", GOLDEN / "mlp-0003.params")


def test_changed_paths() -> None:
    a = {"x": {"y": 1, "z": [1]}, "n": [{"name": "a", "k": 1}, {"name": "b"}], "same": None}
    b = {"x": {"y": 2, "z": [2]}, "n": [{"name": "a", "k": 2}], "same": None}
    assert changed(a, b) == [
        Change("x.y", 1, 2),
        Change("x.z", [1], [2]),
        Change("n.a.k", 1, 2),
        Change("n.b", {"name": "b"}, None),
    ]
