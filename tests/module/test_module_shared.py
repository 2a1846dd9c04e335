"""Modules that share memory, and states that stay while batches pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import FEATURES, assert_same_bits, batch, bound, learner, mlp, train, values

from mxtrain import nd
from mxtrain import symbol as sym
from mxtrain.errors import CallError, MXNetError
from mxtrain.io import DataBatch, DataDesc
from mxtrain.module import Module

DATA, LABEL = [("data", (8, FEATURES))], [("softmax_label", (8,))]


# -- shared memory -------------------------------------------------------------------------------


def test_a_module_that_shares_memory_sees_what_the_other_learns() -> None:
    owner = learner()
    other = Module(mlp())
    other.bind([("data", (3, FEATURES))], [("softmax_label", (3,))], shared_module=owner)
    assert other.params_initialized
    train(owner, 2)
    np.testing.assert_array_equal(other.predict(batch(3).data[0]), owner.predict(batch(3).data[0]))
    assert_same_bits(other, owner)


def test_both_may_learn() -> None:
    """Two modules over the same memory are one training when their states are the same."""
    owner = learner("sgd", {"learning_rate": 0.1, "rescale_grad": 0.125})
    other = Module(mlp())
    other.bind(DATA, LABEL, shared_module=owner)
    other.init_optimizer(optimizer=owner.optimizer)
    alone = learner("sgd", {"learning_rate": 0.1, "rescale_grad": 0.125})
    for step, module in enumerate([owner, other, other, owner]):
        train(module, 1, first=step)
    train(alone, 4)
    assert_same_bits(owner, alone)
    assert_same_bits(other, alone)


def test_a_sharing_module_updates_only_what_learns_in_it() -> None:
    """A parameter in the middle of the shared arena stays, whatever lies beside it."""
    owner = learner()
    train(owner, 1)  # leaves gradients everywhere
    before = values(owner)
    other = Module(mlp(), fixed_param_names=["fc2_weight"])
    other.bind(DATA, LABEL, shared_module=owner)
    other.init_optimizer(optimizer_params={"learning_rate": 0.1})
    train(other, 1)
    after = values(other)
    changed = {name for name, array in after.items() if not np.array_equal(array, before[name])}
    assert changed == {"fc1_weight", "fc1_bias", "fc2_bias"}


def test_a_sharing_module_counts_its_own_parameters() -> None:
    """The second layer alone: its parameters have other numbers than in the whole network."""
    owner = learner()
    tail = sym.FullyConnected(sym.Variable("data"), num_hidden=3, name="fc2")
    other = Module(sym.SoftmaxOutput(tail, name="softmax"))
    other.bind([("data", (8, 4))], LABEL, shared_module=owner)
    other.init_optimizer(optimizer_params={"learning_rate": 0.1, "momentum": 0.9, "wd": 0.1})
    alone = Module(other.symbol)
    alone.bind([("data", (8, 4))], LABEL)
    start = {name: values(owner)[name] for name in ("fc2_weight", "fc2_bias")}
    alone.init_params(None, start, {})
    alone.init_optimizer(optimizer_params={"learning_rate": 0.1, "momentum": 0.9, "wd": 0.1})
    before = values(owner)
    for step in range(3):
        data = nd.array(np.random.default_rng(step).normal(size=(8, 4)))
        for module in (other, alone):
            module.forward_backward(DataBatch([data], batch(8).label))
            module.update()
    after = values(owner)
    np.testing.assert_array_equal(after["fc1_weight"], before["fc1_weight"])
    for name, array in values(alone).items():
        np.testing.assert_array_equal(other.get_params()[0][name], array)


@pytest.mark.parametrize(
    ("symbol", "shape", "text"),
    [
        (mlp(hidden=6), (8, FEATURES), r"'fc1_weight' has to be float32 \(6, 5\).*\(4, 5\)"),
        (sym.FullyConnected(sym.Variable("data"), num_hidden=2, name="new"), (8, 2), "none of"),
    ],
)
def test_memory_that_cannot_be_shared(symbol: sym.Symbol, shape: Any, text: str) -> None:
    labels = LABEL if "softmax_label" in symbol.list_arguments() else None
    module = Module(symbol, label_names=["softmax_label"] if labels else None)
    with pytest.raises(MXNetError, match=text):
        module.bind([("data", shape)], labels, shared_module=bound())
    double = Module(mlp())
    with pytest.raises(MXNetError, match="has to be float64"):
        double.bind(
            [DataDesc("data", (8, FEATURES), "float64")],
            [DataDesc("softmax_label", (8,), "float64")],
            shared_module=bound(),
        )


# -- states --------------------------------------------------------------------------------------


def stateful() -> sym.Symbol:
    return sym.Variable("data") + sym.Variable("state")


def test_states_are_inputs_that_stay() -> None:
    module = Module(stateful(), label_names=None, state_names=["state"])
    module.bind([("data", (2, 3))])
    module.init_params()
    assert module.get_params() == ({}, {})
    module.set_states(value=2)
    module.forward(DataBatch([nd.ones((2, 3))]))
    assert (module.get_outputs()[0] == 3).all()
    assert module.get_states(merge_multi_context=False)[0][0].tolist() == [[2] * 3] * 2
    module.set_states(states=[[nd.ones((2, 3))]])
    assert (module.get_states()[0] == 1).all()
    for wrong in ({}, {"states": [[nd.ones((2, 3))]], "value": 1}):
        with pytest.raises(CallError, match="set_states takes either states or value"):
            module.set_states(**wrong)
    with pytest.raises(MXNetError, match=r"'state' has shape \(2, 3\)"):
        module.set_states(states=[nd.ones((1, 3))])


def test_a_state_with_a_batch_axis_follows_the_batch() -> None:
    module = Module(stateful(), label_names=None, state_names=["state"])
    module.bind([("data", (4, 3))])
    module.init_params()
    module.set_states(value=5)
    assert module.predict(np.ones((2, 3))).tolist() == [[1] * 3] * 2
    assert module.predict(np.ones((4, 3))).tolist() == [[6] * 3] * 4


def test_a_state_of_one_shape_is_the_same_at_every_batch_size() -> None:
    symbol = sym.broadcast_add(sym.Variable("data"), sym.Variable("state", shape=(1, 3)))
    module = Module(symbol, label_names=None, state_names=["state"])
    module.bind([("data", (4, 3))])
    module.init_params()
    module.set_states(value=5)
    assert module.predict(np.ones((2, 3))).tolist() == [[6] * 3] * 2
