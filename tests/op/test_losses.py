"""Losses, softmaxes and rectifiers: what the goldens leave out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mxtrain import symbol as sym
from mxtrain.errors import MXNetError
from mxtrain.op import create, registry

FINITE = st.floats(-1e4, 1e4, width=32)


def forward(op: str, inputs: dict[str, Any], types: Any = None, **attrs: Any) -> np.ndarray:
    net = getattr(sym, op)(*map(sym.Variable, inputs), name="op", **attrs)
    shapes = {name: np.shape(value) for name, value in inputs.items()}
    executor = net.simple_bind(type_dict=types, **shapes)
    return np.asarray(executor.forward(**inputs)[0].asnumpy())


# -- losses reported -------------------------------------------------------------------------

REPORTED = [
    ("LinearRegressionOutput", {}, [[1, 2], [3, 5]], [[1, 1], [1, 1]], 0.5 + 10),
    ("LinearRegressionOutput", {}, [[1], [3]], [0, 0], 10),
    ("MAERegressionOutput", {}, [[1, 2], [3, 5]], [[1, 1], [1, 1]], 0.5 + 3),
    ("LogisticRegressionOutput", {}, [[0.5], [0.25]], [1, 0], -np.log(0.5) - np.log(0.75)),
    ("LogisticRegressionOutput", {}, [[0.0]], [1], -np.log(1e-12)),
    ("SVMOutput", {}, [[0.5, -2, 0]], [0], 0.25 + 0 + 1),
    ("SVMOutput", {"use_linear": "True", "margin": "2"}, [[0.5, -2, 0]], [0], 1.5 + 0 + 2),
    ("SVMOutput", {"regularization_coefficient": "3"}, [[0.5, -2, 0]], [0], 3.75),
    ("MakeLoss", {}, [[1, 2], [3, 5]], None, 11),
    ("make_loss", {}, [[1, 2], [3, 5]], None, 11),
    ("SoftmaxOutput", {}, [[0.5, 0.5], [0.25, 0.75]], [0, 1], -np.log(0.5 * 0.75)),
    ("SoftmaxOutput", {}, [[0.5, 0.5]], [[0.3, 0.7]], np.log(2)),
    ("SoftmaxOutput", {"multi_output": "True"}, [[[0.1], [0.9]]], [[1]], -np.log(0.9)),
]


@pytest.mark.parametrize(("op", "attrs", "output", "label", "total"), REPORTED)
def test_reported_loss(op: str, attrs: Any, output: Any, label: Any, total: float) -> None:
    output = np.array(output, np.float32)
    labels = None if label is None else np.array(label, np.float32)
    found, rows = create(op, attrs).loss(np, output, labels)
    assert found == pytest.approx(total, rel=1e-6)
    assert rows == len(output)


def test_reported_loss_leaves_ignored_labels_out() -> None:
    operator = create("SoftmaxOutput", {"use_ignore": "True", "ignore_label": "1"})
    output = np.array([[0.5, 0.5], [0.25, 0.75]])
    assert operator.loss(np, output, np.array([0, 1])) == (pytest.approx(np.log(2)), 1)


def test_every_loss_is_in_the_table_and_starts_the_gradient() -> None:
    losses = {name for name in registry.names() if registry.get(name).is_loss}
    assert losses == {row[0] for row in REPORTED}
    for name in losses:
        assert not create(name, {}).uses_head
    assert create("SoftmaxOutput", {"out_grad": "True"}).uses_head


# -- label shapes ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "attrs", "data", "label"),
    [
        ("SoftmaxOutput", {}, (2, 3), (2,)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3), (2, 1)),
        ("SoftmaxOutput", {"multi_output": True}, (2, 3, 4, 5), (2, 20)),
        ("LinearRegressionOutput", {}, (5, 1), (5,)),
        ("MAERegressionOutput", {}, (5, 2), (5, 2)),
        ("SVMOutput", {}, (2, 4, 3), (2, 4)),
    ],
    ids=str,
)
def test_default_label_shape(op: str, attrs: Any, data: Any, label: Any) -> None:
    net = getattr(sym, op)(sym.Variable("data"), name="op", **attrs)
    assert net.infer_shape(data=data)[0] == [data, label]


@pytest.mark.parametrize("label", [(2,), (2, 1)])
def test_multi_output_of_a_matrix_is_one_position(label: Any) -> None:
    net = sym.SoftmaxOutput(sym.Variable("data"), multi_output=True, name="op")
    executor = net.simple_bind(data=(2, 3), op_label=label)
    executor.forward(is_train=True, data=np.zeros((2, 3)), op_label=np.ones(label))
    executor.backward()
    wanted = [[1 / 3, -2 / 3, 1 / 3]] * 2
    np.testing.assert_allclose(executor.grad_dict["data"], wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("op", "data", "label", "message"),
    [
        ("SoftmaxOutput", (2, 3), (3,), r"label should be \(2,\) for data \(2, 3\), it is \(3,\)"),
        ("LinearRegressionOutput", (2, 3), (2, 2), r"it is \(2, 2\)"),
        ("LinearRegressionOutput", (2, 3), (3, 2), r"it is \(3, 2\)"),
        ("SVMOutput", (2, 3), (3,), r"label should be \(2,\), it is \(3,\)"),
    ],
    ids=str,
)
def test_wrong_label_shape(op: str, data: Any, label: Any, message: str) -> None:
    net = getattr(sym, op)(sym.Variable("data"), sym.Variable("label"), name="op")
    with pytest.raises(MXNetError, match=message):
        net.infer_shape(data=data, label=label)


# -- softmaxes -------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(x=arrays(np.float32, (3, 5), elements=FINITE))
def test_softmax_is_a_distribution_and_log_softmax_its_logarithm(x: np.ndarray) -> None:
    p = forward("softmax", {"data": x})
    assert (p >= 0).all()
    np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-5)
    np.testing.assert_allclose(np.exp(forward("log_softmax", {"data": x})), p, atol=1e-6)
    np.testing.assert_array_equal(forward("SoftmaxActivation", {"data": x}), p)
    np.testing.assert_array_equal(forward("SoftmaxOutput", {"data": x, "label": np.zeros(3)}), p)


@settings(deadline=None, max_examples=40)
@given(
    x=arrays(np.float32, (3, 5), elements=FINITE),
    length=arrays(np.int32, (3,), elements=st.integers(0, 5)),
)
def test_softmax_with_lengths_is_that_of_the_first_elements(
    x: np.ndarray, length: np.ndarray
) -> None:
    p = forward("softmax", {"data": x, "length": length}, {"length": "int32"}, use_length=True)
    for row, count in enumerate(length):
        if count:
            alone = forward("softmax", {"data": x[row : row + 1, :count]})[0]
            np.testing.assert_allclose(p[row, :count], alone, rtol=1e-6)
        np.testing.assert_array_equal(p[row, count:], 0)


def test_softmax_lengths_lie_along_the_other_axes() -> None:
    x, length = np.zeros((2, 3, 4)), np.array([[1, 2, 3, 1], [3, 3, 2, 1]])
    p = forward("softmax", {"data": x, "length": length}, use_length=True, axis=1, temperature=2.0)
    np.testing.assert_allclose(p[1, :, 2], [0.5, 0.5, 0])
    net = sym.softmax(sym.Variable("data"), use_length=True, axis=1, name="op")
    assert net.infer_shape(data=(2, 3, 4))[0] == [(2, 3, 4), (2, 4)]


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_softmax_type_of_the_output(op: str, dtype: str) -> None:
    net = getattr(sym, op)(sym.Variable("data"), dtype=dtype, name="op")
    executor = net.simple_bind(data=(2, 3))
    out = executor.forward(is_train=True, data=[[1, 2, 3], [0, 0, 0]])[0]
    assert out.dtype == dtype
    executor.backward(np.array([[1, 0, 0], [0, 0, 1]]))
    assert executor.grad_dict["data"].dtype == np.float32
    np.testing.assert_allclose(executor.grad_dict["data"].sum(1), 0, atol=1e-3)


@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_softmax_axis_out_of_range(op: str) -> None:
    with pytest.raises(MXNetError, match="axis 2 of an array with 2 axes"):
        getattr(sym, op)(sym.Variable("data"), axis=2).infer_shape(data=(2, 3))


# -- rectifiers and norms --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["leaky", "elu", "selu", "gelu"])
def test_rectifier_of_large_and_missing_numbers(kind: str) -> None:
    out = forward("LeakyReLU", {"data": [[1e4, -1e4, np.nan]]}, act_type=kind)
    assert out[0, 0] == pytest.approx(1e4 * (1.0507009873554805 if kind == "selu" else 1))
    assert np.isfinite(out[0, 1])
    assert np.isnan(out[0, 2])


def test_prelu_gamma_is_started_at_a_quarter() -> None:
    net = sym.LeakyReLU(sym.Variable("data"), act_type="prelu", name="op")
    assert net.attr_dict()["op_gamma"]["__init__"] == '["Constant", {"value": 0.25}]'


@pytest.mark.parametrize(
    ("mode", "data", "message"),
    [("spatial", (2, 3), "at least 3 axes"), ("instance", (2,), "at least 2 axes")],
)
def test_l2_normalization_needs_its_axes(mode: str, data: Any, message: str) -> None:
    with pytest.raises(MXNetError, match=message):
        sym.L2Normalization(sym.Variable("data"), mode=mode).infer_shape(data=data)


@pytest.mark.parametrize(
    ("mode", "axes"), [("instance", (1, 2, 3)), ("channel", (1,)), ("spatial", (2, 3))]
)
def test_l2_normalization_gives_norm_one(mode: str, axes: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    out = forward("L2Normalization", {"data": x}, mode=mode)
    np.testing.assert_allclose((out * out).sum(axes), 1, rtol=1e-5)
    np.testing.assert_array_equal(np.sign(out), np.sign(x))


def test_identity_and_blocked_gradients_share_memory() -> None:
    for op in ("identity", "BlockGrad", "stop_gradient", "_copy"):
        executor = getattr(sym, op)(sym.Variable("data"), name="op").simple_bind(data=(2,))
        assert np.shares_memory(executor.outputs[0], executor.arg_dict["data"])


@pytest.mark.parametrize("kind", ["leaky", "elu", "selu", "gelu"])
@pytest.mark.parametrize("slope", [0.25, 0.0, -0.5, 3.0])
def test_rectifier_gradient_of_extreme_numbers(kind: str, slope: float) -> None:
    net = sym.LeakyReLU(sym.Variable("data"), act_type=kind, slope=slope)
    executor = net.simple_bind(data=(3,))
    largest = 1e30 if kind == "gelu" else np.inf
    executor.forward(is_train=True, data=[largest, 1e4, -1e4])
    executor.backward(np.ones(3))
    positive = 1.0507009873554805 if kind == "selu" else 1
    negative = slope if kind == "leaky" else 0
    wanted = [positive, positive, negative]
    np.testing.assert_allclose(executor.grad_dict["data"], wanted, atol=1e-6)
