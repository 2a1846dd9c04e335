"""Dropout and rrelu: what depends on random numbers, and on what those depend."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mxtrain import random as mx_random
from mxtrain import symbol as sym
from mxtrain.errors import MXNetError

SHAPE = (30, 40)


def dropout(name: str = "drop", shape: Any = SHAPE, types: Any = None, **attrs: Any) -> Any:
    net = sym.Dropout(sym.Variable("data"), name=name, **attrs)
    executor = net.simple_bind(data=shape, type_dict=types)
    executor.arg_dict["data"][:] = 1
    return executor


def mask(executor: Any, is_train: bool = True) -> np.ndarray:
    return np.asarray(executor.forward(is_train=is_train)[-1].asnumpy())


def test_mask_is_decided_by_seed_name_and_step() -> None:
    mx_random.seed(5)
    first, twin, other_name = dropout(), dropout(), dropout(name="other")
    one, two = mask(first), mask(first)
    assert (one != two).any()
    np.testing.assert_array_equal(mask(twin), one)
    np.testing.assert_array_equal(mask(twin), two)
    assert (mask(other_name) != one).any()
    mx_random.seed(6)
    assert (mask(dropout()) != one).any()


def test_two_layers_drop_independently() -> None:
    x = sym.Variable("data")
    net = sym.Group([sym.Dropout(x, name="a"), sym.Dropout(x, name="b")])
    executor = net.simple_bind(data=(200, 200))
    executor.arg_dict["data"][:] = 1
    a, b = (out.asnumpy() > 0 for out in executor.forward(is_train=True))
    assert abs((a & b).mean() - 0.25) < 0.02


def test_inference_passes_everything_both_ways() -> None:
    executor = dropout(p=0.9)
    np.testing.assert_array_equal(mask(executor, is_train=False), 1)
    executor.backward(np.full(SHAPE, 3.0))
    np.testing.assert_array_equal(executor.grad_dict["data"], 3)


def test_always_draws_in_inference_too_and_uses_the_mask_backwards() -> None:
    executor = dropout(p=0.25, mode="always")
    out = mask(executor, is_train=False)
    assert 0 < (out == 0).mean() < 0.5
    executor.backward(np.full(SHAPE, 3.0))
    np.testing.assert_allclose(executor.grad_dict["data"], 3 * out, rtol=1e-6)


def test_dropping_nothing_costs_nothing() -> None:
    executor = dropout(p=0.0)
    assert np.shares_memory(executor.outputs[0], executor.arg_dict["data"])


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_scale_in_every_type(dtype: str) -> None:
    out = mask(dropout(p=0.2, types={"data": dtype}))
    assert out.dtype == dtype
    np.testing.assert_allclose(np.unique(out), [0, 1.25], rtol=1e-3)


@settings(deadline=None, max_examples=25)
@given(p=st.floats(0.01, 0.99))
def test_output_is_unbiased(p: float) -> None:
    out = mask(dropout(p=p, shape=(150, 150)))
    assert abs(out.mean() - 1) < 8 * (p / (1 - p) / out.size) ** 0.5 + 1e-6
    assert np.unique(out).size == 2


def test_axis_of_the_mask_must_exist() -> None:
    with pytest.raises(MXNetError, match=r"node 'drop' \(Dropout\): axis 2 of an array"):
        dropout(axes=(2,))


def rrelu(**attrs: Any) -> Any:
    net = sym.LeakyReLU(sym.Variable("data"), act_type="rrelu", name="act", **attrs)
    executor = net.simple_bind(data=SHAPE)
    executor.arg_dict["data"][:] = np.random.default_rng(0).normal(size=SHAPE)
    return executor


def test_rrelu_in_training_draws_the_slopes_and_keeps_them_for_backward() -> None:
    executor = rrelu(lower_bound=0.3, upper_bound=0.5)
    assert list(executor.output_dict) == ["act_output", "act_mask"]
    x = executor.arg_dict["data"].asnumpy()
    out, slopes = (o.asnumpy() for o in executor.forward(is_train=True))
    assert slopes.min() >= 0.3
    assert slopes.max() < 0.5
    assert abs(slopes.mean() - 0.4) < 0.01
    np.testing.assert_allclose(out, np.where(x > 0, x, slopes * x), rtol=1e-6)
    executor.backward([np.ones(SHAPE), np.zeros(SHAPE)])
    np.testing.assert_allclose(executor.grad_dict["data"], np.where(x > 0, 1, slopes), rtol=1e-6)
    assert (mask(executor) != slopes).any()


def test_rrelu_outside_training_has_the_middle_slope() -> None:
    np.testing.assert_allclose(mask(rrelu(), is_train=False), (0.125 + 0.334) / 2, rtol=1e-6)
