"""BatchNorm: its side effects, its types, and the moments in extreme numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain import symbol as sym
from mxtrain.errors import MXNetError

SHAPE = (6, 3)


def bound(grad_req: str = "write", shape: Any = SHAPE, types: Any = None, **attrs: Any) -> Any:
    net = sym.BatchNorm(sym.Variable("data"), name="bn", **attrs)
    executor = net.simple_bind(grad_req=grad_req, type_dict=types, data=shape)
    executor.arg_dict["data"][:] = np.random.default_rng(0).normal(2, 3, shape)
    executor.arg_dict["bn_gamma"][:] = 2
    executor.aux_dict["bn_moving_var"][:] = 1
    return executor


def test_moving_averages_move_in_backward_only_and_once_per_backward() -> None:
    executor = bound(fix_gamma=False, momentum=0.75)
    x = executor.arg_dict["data"].asnumpy()
    mean = executor.aux_dict["bn_moving_mean"]
    executor.forward(is_train=True)
    np.testing.assert_array_equal(mean, 0)
    for wanted in (0.25, 0.4375):
        executor.backward(np.ones(SHAPE))
        np.testing.assert_allclose(mean, wanted * x.mean(0), rtol=1e-5)


def test_moving_variance_is_biased() -> None:
    executor = bound(momentum=0.0)
    executor.forward(is_train=True)
    executor.backward(np.ones(SHAPE))
    x = executor.arg_dict["data"].asnumpy()
    np.testing.assert_allclose(executor.aux_dict["bn_moving_var"], x.var(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("is_train", "attrs"), [(False, {}), (True, {"use_global_stats": True})], ids=str
)
def test_moving_averages_stay_outside_batch_mode(is_train: bool, attrs: Any) -> None:
    executor = bound(**attrs)
    executor.forward(is_train=is_train)
    executor.backward(np.ones(SHAPE))
    np.testing.assert_array_equal(executor.aux_dict["bn_moving_mean"], 0)
    np.testing.assert_array_equal(executor.aux_dict["bn_moving_var"], 1)


@pytest.mark.parametrize("is_train", [True, False])
@pytest.mark.parametrize(
    ("grad_req", "attrs", "gamma"),
    [("write", {}, 1), ("null", {}, 2), ("write", {"fix_gamma": False}, 2)],
    ids=str,
)
def test_fixed_gamma_is_written_where_there_are_gradients(
    grad_req: str, attrs: Any, gamma: float, is_train: bool
) -> None:
    executor = bound(grad_req, **attrs)
    executor.forward(is_train=is_train)
    np.testing.assert_array_equal(executor.arg_dict["bn_gamma"], gamma)


def test_fixed_gamma_counts_as_one_even_where_it_is_not_written() -> None:
    fixed, free = bound("null"), bound("null", fix_gamma=False)
    free.arg_dict["bn_gamma"][:] = 1
    for executor in (fixed, free):
        executor.forward(is_train=True)
    np.testing.assert_array_equal(fixed.outputs[0], free.outputs[0])


def test_outputs_of_the_moving_averages() -> None:
    executor = bound(use_global_stats=True, output_mean_var=True, eps=0.5)
    executor.aux_dict["bn_moving_mean"][:] = [1, 2, 3]
    executor.aux_dict["bn_moving_var"][:] = [0.5, 1.5, 3.5]
    _, mean, inverse = executor.forward()
    np.testing.assert_array_equal(mean, [1, 2, 3])
    np.testing.assert_allclose(inverse, [1, 0.5**0.5, 0.5], rtol=1e-6)


def test_float16_data_keeps_float32_statistics() -> None:
    executor = bound(
        types={"data": "float16"}, shape=(64, 3), fix_gamma=False, output_mean_var=True
    )
    assert [a.dtype.name for a in executor.arg_arrays] == ["float16", "float32", "float32"]
    assert [a.dtype.name for a in executor.outputs] == ["float16", "float32", "float32"]
    executor.arg_dict["data"][:] *= 500  # the squares do not fit into float16
    executor.forward(is_train=True)
    executor.backward([np.ones((64, 3)), np.zeros(3), np.zeros(3)])
    x = executor.arg_dict["data"].asnumpy().astype(np.float64)
    wanted = 2 * (x - x.mean(0)) / x.std(0)
    np.testing.assert_allclose(executor.outputs[0], wanted, atol=4e-3)
    np.testing.assert_allclose(executor.outputs[1], x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(executor.grad_dict["bn_beta"], 64, rtol=1e-6)


@settings(deadline=None, max_examples=30)
@given(
    rows=st.integers(2, 40),
    offset=st.floats(-100, 100),
    scale=st.floats(0.1, 100),
    seed=st.integers(0, 2**20),
)
def test_output_has_mean_beta_and_deviation_gamma(
    rows: int, offset: float, scale: float, seed: int
) -> None:
    executor = bound(shape=(rows, 2, 3), fix_gamma=False, eps=0.0)
    x = np.random.default_rng(seed).normal(offset, scale, (rows, 2, 3))
    executor.arg_dict["bn_beta"][:] = 5
    (out,) = executor.forward(is_train=True, data=x)
    np.testing.assert_allclose(out.mean((0, 2)), 5, atol=1e-3)
    np.testing.assert_allclose(out.std((0, 2)), 2, rtol=2e-3)


def test_shapes_flow_back_from_the_vectors() -> None:
    net = sym.BatchNorm(sym.Variable("data"), axis=-1, name="bn")
    (data, *_), _, aux = net.infer_shape_partial(data=(0, 0), bn_gamma=(7,))
    assert data == (0, 7)
    assert aux == [(7,), (7,)]


def test_axis_out_of_range_names_the_node() -> None:
    net = sym.BatchNorm(sym.Variable("data"), axis=4, name="bn")
    with pytest.raises(
        MXNetError, match=r"node 'bn' \(BatchNorm\): axis 4 of an array with 2 axes"
    ):
        net.infer_shape(data=(2, 3))


@pytest.mark.parametrize(
    ("op", "attrs", "hidden"),
    [
        ("BatchNorm", {}, 2),
        ("BatchNorm", {"output_mean_var": True}, 0),
        ("LayerNorm", {}, 2),
        ("LayerNorm", {"output_mean_var": True}, 0),
        ("Dropout", {}, 1),
        ("L2Normalization", {}, 1),
        ("LeakyReLU", {}, 0),
        ("LeakyReLU", {"act_type": "rrelu"}, 0),
    ],
    ids=str,
)
def test_outputs_that_files_count(op: str, attrs: Any, hidden: int) -> None:
    net = getattr(sym, op)(sym.Variable("data"), name="op", **attrs)
    assert net.entries[0].node.operator.hidden_outputs() == hidden
