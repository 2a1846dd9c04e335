"""The plan: which gradients are summed, and what its steps show."""

from __future__ import annotations

import numpy as np

import mxtrain as mx
from mxtrain import symbol as sym


def test_one_symbol_as_differentiable_and_other_input_of_one_operator():
    """The gradient of `where(x, x, y)` reaches x through the branch, not through the condition."""
    x, y = sym.Variable("x"), sym.Variable("y")
    executor = sym.where(x, x, y).simple_bind(None, x=(3,), y=(3,))
    executor.arg_dict["x"][:] = [1, 0, 2]
    executor.forward(is_train=True)
    executor.backward([mx.nd.ones((3,))])
    assert executor.grad_dict["x"].tolist() == [1, 0, 1]
    assert executor.grad_dict["y"].tolist() == [0, 1, 0]


def test_a_monitor_sees_operators_that_only_look_at_their_input():
    seen = {}
    net = sym.Reshape(sym.Variable("x"), shape=(1, 3), name="row")
    executor = net.simple_bind(None, x=(3,))
    executor.set_monitor_callback(lambda name, array: seen.update({name: array.shape}))
    executor.forward(x=mx.nd.array([1, 2, 3]))
    assert seen == {"row_output": (1, 3)}


def test_integers_pass_no_gradient():
    net = sym.Cast(sym.Cast(sym.Variable("x"), dtype="int32"), dtype="float32")
    executor = net.simple_bind(None, x=(2,))
    executor.forward(is_train=True, x=mx.nd.array([1.5, 2.5]))
    executor.backward([mx.nd.ones((2,))])
    assert executor.outputs[0].tolist() == [1, 2]
    assert executor.grad_dict["x"].tolist() == [0, 0]


def test_constants_of_a_formula_are_computed_in_silence():
    """A power of a negative number is NaN, and no warning."""
    executor = (-((2.0) ** sym.Variable("x"))).simple_bind(None, x=(1,), grad_req="null")
    assert np.isfinite(executor.forward(x=mx.nd.array([3]))[0]).all()
    negative = sym._internal._rpower_scalar(sym.Variable("x"), scalar=-2.0)
    bound = negative.simple_bind(None, x=(1,))
    bound.forward(is_train=True, x=mx.nd.array([0.5]))
    bound.backward([mx.nd.ones((1,))])
    assert np.isnan(bound.outputs[0]).all()
