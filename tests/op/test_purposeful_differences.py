"""What layers and losses do otherwise than MXNet 1.9.1, where the goldens do not show it.

Each entry belongs to a row of docs/mxnet-differences.md.
"""

from __future__ import annotations

import numpy as np
import pytest

from mxtrain import symbol as sym

RANDOM = np.random.default_rng(3)


def test_prelu_behind_another_layer_has_the_right_slope_gradient() -> None:
    x, weight = RANDOM.normal(size=(5, 4)), RANDOM.normal(size=(3, 4))
    gamma, head = RANDOM.uniform(0.1, 0.9, 3), RANDOM.normal(size=(5, 3))
    net = sym.FullyConnected(sym.Variable("x"), sym.Variable("w"), num_hidden=3, no_bias=True)
    net = sym.LeakyReLU(net, sym.Variable("gamma"), act_type="prelu")
    arrays = {"x": x, "w": weight, "gamma": gamma}
    executor = net.bind(None, arrays, {name: np.empty_like(v) for name, v in arrays.items()})
    executor.forward(is_train=True)
    executor.backward(head)
    hidden = x @ weight.T
    np.testing.assert_allclose(
        executor.grad_dict["gamma"], (head * np.minimum(hidden, 0)).sum(0), rtol=1e-10
    )


def test_bias_has_its_gradient_beside_a_fixed_weight() -> None:
    net = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc")
    executor = net.simple_bind(data=(5, 4), grad_req={"fc_bias": "write"})
    head = RANDOM.normal(size=(5, 3)).astype(np.float32)
    executor.forward(is_train=True)
    executor.backward(head)
    np.testing.assert_allclose(executor.grad_dict["fc_bias"], head.sum(0), rtol=1e-6)


@pytest.mark.parametrize("kind", ["write", "add"])
def test_labels_have_gradient_zero(kind: str) -> None:
    net = sym.LinearRegressionOutput(sym.Variable("data"), sym.Variable("label"))
    executor = net.simple_bind(data=(5, 4), grad_req=kind)
    executor.grad_dict["label"][:] = 7
    executor.forward(is_train=True)
    executor.backward()
    np.testing.assert_array_equal(executor.grad_dict["label"], 0 if kind == "write" else 7)


def test_rrelu_gives_its_slope_outside_training() -> None:
    net = sym.LeakyReLU(sym.Variable("data"), act_type="rrelu", lower_bound=0.2, upper_bound=0.6)
    executor = net.simple_bind(data=(2, 3))
    np.testing.assert_allclose(executor.forward()[1], 0.4, rtol=1e-6)


def test_attributes_are_exact_in_float64() -> None:
    net = sym.LeakyReLU(sym.Variable("data"), slope=0.1)
    executor = net.simple_bind(data=(1,), type_dict={"data": "float64"})
    assert executor.forward(data=[-1.0])[0][0] == -0.1


def test_gelu_is_exact_in_float64() -> None:
    net = sym.LeakyReLU(sym.Variable("data"), act_type="gelu")
    executor = net.simple_bind(data=(1,), type_dict={"data": "float64"})
    assert executor.forward(data=[1.0])[0][0] == pytest.approx(0.8413447460685429, rel=1e-14)
