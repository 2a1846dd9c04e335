"""Writing a model: what is checked before, what is refused, and that nothing is left behind."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from mxtrain import symbol as sym
from mxtrain.export import converters, proto
from mxtrain.export.axes import BATCH
from mxtrain.export.converters import registry
from mxtrain.export.errors import DifferenceError, ExportError, MissingLibraryError
from mxtrain.export.preprocessing import Scaling
from mxtrain.export.samples import RANDOM_ROWS
from mxtrain.export.verify import Network, difference
from mxtrain.export.write import Wish, export_onnx
from mxtrain.op.activation import Activation
from mxtrain.op.fully_connected import FullyConnected
from mxtrain.version import __version__


def network(dtype: str = "float32") -> Network:
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc1")
    net = sym.Activation(net, act_type="tanh", name="act1")
    net = sym.SoftmaxOutput(sym.FullyConnected(net, num_hidden=2, name="fc2"), name="softmax")
    shapes, _, _ = net.infer_shape(data=(1, 4))
    random = np.random.default_rng(1)
    args = {
        name: random.normal(size=shape).astype(dtype)
        for name, shape in zip(net.list_arguments(), shapes, strict=True)
        if name not in ("data", "softmax_label")
    }
    return Network(net, args, {}, {"data": (BATCH, 4)})


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    wish = Wish(doc="a sentence", metadata={"columns": '["a"]'})
    report = export_onnx(path, network(), wish)
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert (model.producer_name, model.producer_version) == ("mxtrain", __version__)
    assert model.opset_import[0].version == report.opset == 17
    assert model.ir_version == 8  # onnxruntime 1.19 reads up to 10
    assert (model.doc_string, report.size) == ("a sentence", path.stat().st_size)
    assert {p.key: p.value for p in model.metadata_props} == {"columns": '["a"]'}
    assert [i.name for i in model.graph.initializer] == list(network().arg_params)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert report.operators == {"Gemm": 2, "Softmax": 1, "Tanh": 1}
    assert (report.rows, report.comparison.batches) == (RANDOM_ROWS, (RANDOM_ROWS, 1))
    assert report.num_parameters == 3 * 4 + 3 + 2 * 3 + 2


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        export_onnx(tmp_path / name, network())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize("dtype", ["float64", "float16"])
def test_element_types_are_kept(dtype: str, tmp_path: Path) -> None:
    report = export_onnx(tmp_path / "m.onnx", network(dtype))
    assert [port.dtype for port in [*report.inputs, *report.outputs]] == [dtype, dtype]
    assert report.tolerance == (1e-5 if dtype == "float64" else 1e-2)


def test_scaling_is_done_in_double_precision(tmp_path: Path) -> None:
    scaling = Scaling(np.array([1e9, 0, 5, 7]), np.array([1.0, 0.5, 2, 0]))
    rows = {"data": np.array([[1e9 + 1, 1, 5, 9], [1e9 - 3, 2, 4, 9]])}
    wish = Wish(scaling={"data": scaling})
    report = export_onnx(tmp_path / "m.onnx", network(), wish, rows)
    assert report.inputs[0].dtype == "float64"
    assert report.rows == 2
    assert report.comparison.difference <= 1e-6
    np.testing.assert_array_equal(
        scaling.apply(rows["data"]), np.array([[1, 0.5, 0, 0], [-3, 1, -2, 0]], "float32")
    )


def wrong_by(amount: float) -> Any:
    def convert(c: Any, op: Activation) -> Any:
        right = converters.elementwise.activation(c, op)[0]
        return [c.emit("Add", right, c.constant(amount, right.dtype))]

    return convert


def test_a_wrong_model_is_not_written_and_the_node_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(b"before")
    monkeypatch.setitem(registry.CONVERTERS, Activation, wrong_by(0.01))
    with pytest.raises(DifferenceError) as caught:
        export_onnx(path, network(), overwrite=True)
    assert "at output 'softmax_output'; 1e-05 is allowed" in str(caught.value)
    assert "It begins at node 'act1' (Activation), with 0.01" in str(caught.value)
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    assert export_onnx(path, network(), Wish(tolerance=0.1), overwrite=True).tolerance == 0.1


def test_another_shape_or_type_is_infinitely_different() -> None:
    x = np.ones((2, 1))
    assert difference(x, x[:, 0]) == difference(x, x.astype("float32")) == np.inf
    assert difference(np.array([np.nan, np.inf]), np.array([np.nan, np.inf])) == 0
    assert difference(np.array([1.0]), np.array([np.nan])) == np.inf
    assert difference(np.array([np.inf]), np.array([-np.inf])) == np.inf
    assert difference(np.array([101.0, 0.5]), np.array([100.0, 0.0])) == 0.5
    assert difference(np.array([101.0, 0.0]), np.array([100.0, 0.0])) == 0.01


def test_one_batch_size_where_the_graph_wants_it(tmp_path: Path) -> None:
    data = sym.Variable("data")
    halves = sym.SliceChannel(data, num_outputs=2, axis=0, name="halves")
    split = Network(sym.Group([halves[0], halves[1]]), {}, {}, {"data": (BATCH, 3)})
    report = export_onnx(tmp_path / "a", split, Wish(usual_batch=4))
    assert report.batch == 4
    assert report.notes[0].startswith("the model takes 4 rows at a time: with a batch of 5, node")
    rows = {"data": np.arange(18.0).reshape(6, 3)}
    report = export_onnx(tmp_path / "b", split, Wish(batch=4), rows)
    assert (report.notes, report.comparison.batches) == ([], (4,))
    with pytest.raises(ExportError, match=r"does not divide .* \(for a batch of 1; --batch-size"):
        export_onnx(tmp_path / "c", split)


def test_operators_without_a_converter_are_all_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for cls in (Activation, FullyConnected):
        monkeypatch.delitem(registry.CONVERTERS, cls)
    listed = r"cannot be exported: FullyConnected \(fc1, fc2\); Activation \(act1\)"
    with pytest.raises(ExportError, match=listed):
        export_onnx(tmp_path / "m.onnx", network())


@pytest.mark.parametrize("opset", [12, 10_000])
def test_unknown_operator_sets_are_refused(opset: int, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=f"operator set {opset} cannot be written; .* 13 to"):
        export_onnx(tmp_path / "m.onnx", network(), Wish(opset=opset))


def test_a_model_too_large_for_one_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proto, "LARGEST", 100)
    with pytest.raises(ExportError, match="the weights have 184 bytes; an ONNX file"):
        export_onnx(tmp_path / "m.onnx", network("float64"))
    assert not list(tmp_path.iterdir())


def test_targets_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "there").write_text("x")
    for path, error in (
        (tmp_path, IsADirectoryError),
        (tmp_path / "no" / "m.onnx", FileNotFoundError),
        (tmp_path / "there", FileExistsError),
        (tmp_path / "there" / "m.onnx", FileNotFoundError),
    ):
        with pytest.raises(error, match=re.escape(str(path))):
            export_onnx(path, network())
    with pytest.raises(OSError, match=re.escape("/proc/m.onnx")):
        export_onnx("/proc/m.onnx", network())


@pytest.mark.parametrize("library", ["onnx", "onnxruntime"])
def test_missing_libraries_are_named(
    library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [library, *(n for n in sys.modules if n.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingLibraryError) as caught:
        export_onnx(tmp_path / "m.onnx", network())
    assert f"needs the library {library}" in str(caught.value)
    assert "pip install 'mxtrain[onnx]'" in str(caught.value)


def test_indices_are_drawn_for_inputs_that_choose(tmp_path: Path) -> None:
    table = np.arange(10, dtype="float32").reshape(5, 2)
    net = sym.Embedding(sym.Variable("data"), input_dim=5, output_dim=2, name="table")
    chosen = Network(net, {"table_weight": table}, {}, {"data": (BATCH, 3)})
    report = export_onnx(tmp_path / "m.onnx", chosen)
    drawn = report.comparison.feeds["data"]
    assert drawn.min() == -1
    assert drawn.max() == 5
    assert report.comparison.difference == 0
