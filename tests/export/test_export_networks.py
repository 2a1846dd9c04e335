"""Small networks as ONNX models: batches of any size, labels, names, shared and unread parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from one_operator import executed

from mxtrain import symbol as sym
from mxtrain.export.axes import BATCH, Free
from mxtrain.export.errors import ExportError, FixedBatchError
from mxtrain.export.graph import OnnxGraph, convert
from mxtrain.export.proto import axis_name, to_bytes
from mxtrain.export.runtime import Session
from mxtrain.export.verify import Network, difference
from mxtrain.export.write import Wish, export_onnx

WIDTH = 6


def weights(net: Any, **shapes: tuple[int, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Random arguments (all but those of `shapes` and labels) and auxiliary states."""
    random = np.random.default_rng(3)
    arguments, _, auxiliary = net.infer_shape_partial(**shapes)
    args = {
        name: random.normal(0, 0.5, shape).astype("float32")
        for name, shape in zip(net.list_arguments(), arguments, strict=True)
        if name not in shapes and not name.endswith("label")
    }
    aux = {
        name: random.uniform(0.5, 1.5, shape).astype("float32")
        for name, shape in zip(net.list_auxiliary_states(), auxiliary, strict=True)
    }
    return args, aux


def mlp() -> Any:
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=8, name="fc1")
    net = sym.BatchNorm(net, name="bn1", fix_gamma=True)
    net = sym.Dropout(sym.Activation(net, act_type="relu", name="relu1"), name="drop1")
    net = sym.FullyConnected(net, num_hidden=3, name="fc2")
    return sym.SoftmaxOutput(net, name="softmax")


def sizes_at_run_time() -> Any:
    data = sym.Variable("data")
    row = sym.slice_axis(sym.Variable("row_weight", shape=(1, WIDTH)), axis=1, begin=0, end=None)
    like = sym.broadcast_like(row, data)
    first = sym.broadcast_like(row, data, lhs_axes=(0,), rhs_axes=(0,))
    return like + first + sym.ones_like(data) * sym.zeros_like(data) + data


def several_free_axes() -> Any:
    data = sym.Variable("data")
    pairs = sym.dot(data, data, transpose_b=True)  # batch x batch
    wide = sym.expand_dims(pairs, axis=2)
    return sym.Group([sym.softmax(pairs), sym.repeat(data, repeats=2, axis=0), wide])


def reshaped() -> Any:
    data = sym.Variable("data")
    halves = sym.Reshape(data, shape=(0, 2, -1))
    turned = sym.transpose(halves, axes=(1, 0, 2))
    tiled = sym.tile(sym.Reshape(turned, shape=(-3, 0)), reps=(3, 1))
    return sym.Group([turned, tiled, sym.sum(halves, axis=2), sym.mean(data)])


NETWORKS = [mlp, sizes_at_run_time, several_free_axes, reshaped]


def export(net: Any, args: dict[str, Any], aux: dict[str, Any], **more: Any) -> OnnxGraph:
    return convert(net, {"data": (BATCH, WIDTH)}, args | aux, 17, **more)


@pytest.mark.parametrize("make", NETWORKS)
def test_any_batch_size(make: Any) -> None:
    net = make()
    args, aux = weights(net, data=(4, WIDTH))
    session = Session(to_bytes(export(net, args, aux), 17, "", {}))

    @settings(max_examples=12)
    @given(rows=st.one_of(st.sampled_from([1, 3, 64]), st.integers(1, 200)))
    def check(rows: int) -> None:
        data = np.random.default_rng(rows).normal(size=(rows, WIDTH)).astype("float32")
        labels = {n: np.zeros(rows, "float32") for n in net.list_arguments() if "label" in n}
        found = session.run({"data": data})
        wanted = executed(net, {"data": data, **args, **labels}, aux)
        for one, other in zip(found, wanted, strict=True):
            assert difference(one, other) <= 1e-5

    check()


def test_names_are_those_of_the_graph() -> None:
    net = mlp()
    args, aux = weights(net, data=(4, WIDTH))
    graph = export(net, args, aux)
    assert [port.name for port in graph.inputs] == ["data"]  # no label
    assert [port.name for port in graph.outputs] == net.list_outputs()
    operators = {node.name for node in net.nodes() if not node.is_variable}
    assert operators <= {node.name for node in graph.nodes}
    # gamma counts as 1 where it is fixed, so it is not read
    assert set(graph.parameters) == {*args, *aux} - {"bn1_gamma"}
    assert len({node.name for node in graph.nodes}) == len(graph.nodes)


def test_names_that_clash_are_numbered_and_inputs_keep_theirs() -> None:
    data = sym.Variable("a_output")
    net = sym.Group([sym.exp(data, name="a"), sym.exp(sym.exp(data, name="b"), name="b"), data])
    graph = convert(net, {"a_output": (BATCH, 2)}, {}, 17)
    assert [port.name for port in graph.inputs] == ["a_output"]
    names = [port.name for port in graph.outputs]
    assert names == ["a_output_1", "b_output_1", "a_output_output"]
    x = np.ones((3, 2), "float32")
    found = Session(to_bytes(graph, 17, "", {})).run({"a_output": x})
    for one, other in zip(found, (np.exp(x), np.exp(np.exp(x)), x), strict=True):
        assert difference(one, other) <= 1e-6


def test_an_output_asked_for_twice_is_there_twice() -> None:
    top = sym.tanh(sym.Variable("data"), name="top")
    graph = convert(sym.Group([top, top]), {"data": (BATCH, 2)}, {}, 17)
    first, second = Session(to_bytes(graph, 17, "", {})).run({"data": np.ones((2, 2), "float32")})
    np.testing.assert_array_equal(first, second)


def test_a_label_that_decides_the_output_is_an_input() -> None:
    data, label = sym.Variable("data"), sym.Variable("value_label")
    loss = sym.MakeLoss(sym.square(data - label), name="loss")
    graph = convert(loss, {"data": (BATCH, 3)}, {}, 17)
    assert [(port.name, port.axes) for port in graph.inputs] == [
        ("data", (BATCH, 3)),
        ("value_label", (BATCH, 3)),
    ]


@pytest.mark.parametrize("batch", [None, 4])
def test_given_rows_beside_drawn_ones(batch: int | None, tmp_path: Path) -> None:
    data, label = sym.Variable("data"), sym.Variable("value_label")
    loss = sym.MakeLoss(sym.square(data - label), name="loss")
    network = Network(loss, {}, {}, {"data": (BATCH, 3)})
    rows = {"data": np.arange(600.0).reshape(200, 3)}
    report = export_onnx(tmp_path / "m.onnx", network, Wish(batch=batch), rows)
    assert report.rows == 200
    assert report.comparison.batches == ((200, 1) if batch is None else (4,))


def test_two_variables_of_one_name_are_refused() -> None:
    net = sym.Variable("x") + sym.Variable("x")
    with pytest.raises(ExportError, match="several variables are called x"):
        convert(net, {"x": (BATCH, 2)}, {}, 17)


def test_unknown_shapes_are_named() -> None:
    net = sym.Variable("data") + sym.slice_axis(sym.Variable("other"), axis=0, begin=0, end=1)
    with pytest.raises(ExportError, match="leave these unknown: other; give"):
        convert(net, {"data": (BATCH, 2)}, {}, 17)


FIXED: dict[str, tuple[Any, tuple[int, ...], str]] = {
    "split": (lambda x, w: sym.split(x, num_outputs=2, axis=0), (), "does not divide into 2"),
    "reshape": (lambda x, w: sym.Reshape(x, shape=(4, -1)), (), "elements do not divide"),
    "squeeze": (lambda x, w: sym.squeeze(x), (), "another number of axes for a batch of one row"),
    "added": (lambda x, w: x + w, (4, WIDTH), "with a batch of 5, node .* axis of 5 against one"),
    "taken": (lambda x, w: sym.take(x, w), (2,), "rows of the batch are chosen by number"),
    "squared": (
        lambda x, w: sym.SoftmaxActivation(
            sym.expand_dims(sym.dot(x, x, transpose_b=True), axis=0), name="op"
        ),
        (),
        r"node 'op' \(SoftmaxActivation\): more than one axis of its output follows the batch",
    ),
}


@pytest.mark.parametrize("case", FIXED)
def test_what_fixes_the_batch_is_said(case: str) -> None:
    make, shape, why = FIXED[case]
    net = make(sym.Variable("data"), sym.Variable("weight"))
    parameters = {"weight": np.zeros(shape, "float32")} if shape else {}
    with pytest.raises(FixedBatchError, match=why):
        export(net, parameters, {})
    assert export(net, parameters, {}, batch=4).inputs[0].axes == (4, WIDTH)


def test_axes_that_follow_the_batch_have_names() -> None:
    assert axis_name("data", 0, BATCH) == "batch"
    assert axis_name("x", 1, Free((10, 14, 2))) == "x_axis1"
