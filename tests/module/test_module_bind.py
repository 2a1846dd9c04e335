"""Binding a module: names, shapes, batches of other sizes, sharing, binding again."""

from __future__ import annotations

import logging
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from networks import FEATURES, assert_same_bits, batch, bound, learner, mlp, train, values

import mxtrain as mx
from mxtrain import nd
from mxtrain import symbol as sym
from mxtrain.errors import CallError, MXNetError
from mxtrain.io import DataBatch
from mxtrain.module import BaseModule, Module
from mxtrain.module.memory import MAX_EXECUTORS

DATA, LABEL = [("data", (8, FEATURES))], [("softmax_label", (8,))]


def test_a_batch_without_labels_is_enough_for_inference() -> None:
    """As tutorials do it, with a batch of their own and the label shapes of a module to come."""
    only_data = namedtuple("only_data", ["data"])
    trained = bound()
    module = Module(mlp(), label_names=None)
    module.bind(DATA, label_shapes=module._label_shapes, for_training=False)
    module.set_params(*trained.get_params(), allow_missing=True)
    for each, count in ((module, 8), (trained, 8), (trained, 3)):
        each.forward(only_data([batch(count).data[0]]), is_train=False)
        assert each.get_outputs()[0].shape == (count, 3)


def test_parameters_that_are_refused_change_nothing() -> None:
    module = bound()
    before = values(module)
    given = {name: array + 1 for name, array in before.items()}
    for wrong in ({"fc2_bias": np.zeros(9)}, None):
        changed = given | wrong if wrong else {"fc1_bias": given["fc1_bias"]}
        with pytest.raises(MXNetError):
            module.set_params(changed, {})
        after = values(module)
        assert all(np.array_equal(after[name], array) for name, array in before.items())


# -- names ---------------------------------------------------------------------------------------


def test_roles_of_the_arguments() -> None:
    module = bound(fixed_param_names=["fc1_bias"])
    assert isinstance(module, BaseModule)
    assert mx.mod.Module is Module
    assert module.data_names == ["data"]
    assert module.label_names == ["softmax_label"]
    assert module.output_names == ["softmax_output"]
    assert module.data_shapes == DATA
    assert module.label_shapes == LABEL
    assert module.output_shapes == [("softmax_output", (8, 3))]
    assert list(module.get_params()[0]) == ["fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    grads = module.executor.grad_dict
    assert [name for name, grad in grads.items() if grad is None] == [
        "data",
        "fc1_bias",
        "softmax_label",
    ]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"data_names": ["dta"]}, "data_names: unknown argument 'dta'; did you mean 'data'"),
        ({"state_names": ["s"]}, "state_names: unknown argument 's'"),
        ({"fixed_param_names": ["fc1_wieght"]}, "fixed_param_names: .* did you mean 'fc1_weight'"),
    ],
)
def test_names_that_are_no_arguments(options: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        Module(mlp(), **options)


def test_a_label_that_is_no_argument_is_a_warning_at_the_caller() -> None:
    with pytest.warns(UserWarning, match="label_names: unknown argument 'y'") as caught:
        Module(mlp(), label_names=["y"])
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("data", "label", "error", "text"),
    [
        ([("x", (8, 5))], LABEL, ValueError, r"data_shapes names \['x'\], but .* \['data'\]"),
        (DATA, [("softmax_label", (4,))], CallError, "disagree on the batch size: {'data': 8, "),
        (DATA, [("softmax_label", (8, 7))], MXNetError, "softmax"),
        ([("data", (8, 0))], LABEL, MXNetError, "leave these unknown: data, fc1_weight"),
    ],
)
def test_shapes_that_do_not_fit(data: Any, label: Any, error: type, text: str) -> None:
    module = Module(mlp())
    with pytest.raises(error, match=text):
        module.bind(data, label)
    assert not module.binded


def test_two_variables_of_one_name_cannot_be_bound() -> None:
    twice = sym.Variable("data") * sym.Variable("w") * sym.Variable("w")
    module = Module(twice, label_names=None)
    with pytest.raises(ValueError, match="the graph has 2 variables named 'w'"):
        module.bind([("data", (2,))])


def test_one_cpu_is_what_a_module_runs_on() -> None:
    assert Module(mlp(), context=[mx.cpu()]).symbol is not None
    with pytest.raises(MXNetError, match="a module runs on one device, 2 were given"):
        Module(mlp(), context=[mx.cpu(0), mx.cpu(1)])


@pytest.mark.parametrize(
    ("call", "first"),
    [
        (lambda m: m.forward(batch(8)), "bind"),
        (lambda m: m.init_params(), "bind"),
        (lambda m: m.get_params(), "bind"),
        (lambda m: m.data_shapes, "bind"),
        (lambda m: m.executor, "bind"),
        (lambda m: m.reshape(DATA), "bind"),
        (lambda m: m.install_monitor(mx.monitor.Monitor(1)), "bind"),
        (lambda m: m.update(), "init_optimizer"),
        (lambda m: m.optimizer, "init_optimizer"),
        (lambda m: m.save_optimizer_states("never-written"), "init_optimizer"),
        (lambda m: m.load_optimizer_states("never-read"), "init_optimizer"),
    ],
)
def test_calls_too_early_say_what_comes_first(call: Any, first: str) -> None:
    with pytest.raises(CallError, match=rf"call {first}\(\) before this"):
        call(Module(mlp()))


def test_calls_before_the_parameters_have_values() -> None:
    module = Module(mlp())
    module.bind(DATA, LABEL)
    for call in (module.get_outputs, module.backward, module.init_optimizer, module.get_states):
        with pytest.raises(CallError, match=r"call init_params\(\) before this"):
            call()


# -- gradients -----------------------------------------------------------------------------------


def test_requests_by_argument() -> None:
    module = bound(bind={"grad_req": {"fc1_weight": "add", "fc2_bias": "null"}})
    module.forward_backward(batch(8))
    once = {n: g.copy() for n, g in module.executor.grad_dict.items() if g is not None}
    assert once.keys() == {"fc1_weight", "fc1_bias", "fc2_weight"}
    module.forward_backward(batch(8))
    again = module.executor.grad_dict
    np.testing.assert_array_equal(again["fc1_weight"], once["fc1_weight"] * 2)
    np.testing.assert_array_equal(again["fc1_bias"], once["fc1_bias"])
    assert module.arena.weights.keys() == once.keys()


def test_requests_in_a_list_are_taken_as_they_are() -> None:
    words = ["write", "null", "null", "null", "add", "null"]
    module = bound(bind={"grad_req": words})
    grads = module.executor.grad_dict
    assert [name for name, grad in grads.items() if grad is not None] == ["data", "fc2_bias"]


@pytest.mark.parametrize(
    ("grad_req", "error", "text"),
    [
        ("wirte", MXNetError, "grad_req of 'fc1_weight' is 'wirte'"),
        ({"fc1_weigth": "add"}, ValueError, "grad_req: .*did you mean 'fc1_weight'"),
        (["write"], MXNetError, "grad_req: 6 arguments, 1 words given"),
    ],
)
def test_other_requests(grad_req: Any, error: type, text: str) -> None:
    with pytest.raises(error, match=text):
        bound(bind={"grad_req": grad_req})


def test_gradients_of_the_inputs() -> None:
    module = bound(bind={"inputs_need_grad": True})
    module.forward_backward(batch(8))
    (grad,) = module.get_input_grads()
    assert grad.shape == (8, FEATURES)
    assert module.get_input_grads(merge_multi_context=False)[0][0] is grad
    assert np.abs(grad).max() > 0
    # Finite differences of the summed cross-entropy, which SoftmaxOutput stands for.
    given = batch(8)
    losses = []
    for shift in (1e-2, -1e-2):
        moved = given.data[0].copy()
        moved[2, 3] += shift
        module.forward(DataBatch([moved], given.label))
        picked = module.get_outputs()[0][np.arange(8), given.label[0].astype(int)]
        losses.append(-np.log(picked.astype(np.float64)).sum())
    assert grad[2, 3] == pytest.approx((losses[0] - losses[1]) / 2e-2, abs=2e-3)
    with pytest.raises(CallError, match="inputs_need_grad=True"):
        bound().get_input_grads()


def test_not_for_training() -> None:
    module = bound(bind={"for_training": False})
    module.forward(batch(8))
    with pytest.raises(CallError, match=r"for_training=True"):
        module.backward()
    assert module.arena.weights == {}
    with pytest.raises(CallError, match="inputs_need_grad needs for_training=True"):
        bound(bind={"for_training": False, "inputs_need_grad": True})


# -- batches of other sizes ----------------------------------------------------------------------


def test_executors_of_other_sizes_share_parameters_gradients_and_are_kept() -> None:
    module = learner()
    first = module.executor
    train(module, 1, 3)
    small = module.executor
    assert small is not first
    assert module.data_shapes == [("data", (3, FEATURES))]
    assert module.label_shapes == [("softmax_label", (3,))]
    for name in module.get_params()[0]:
        assert np.shares_memory(small.arg_dict[name], first.arg_dict[name])
        assert np.shares_memory(small.grad_dict[name], first.grad_dict[name])
    train(module, 1, 8)
    assert module.executor is first
    train(module, 1, 3)
    assert module.executor is small
    assert module.executor_for(8) is first


def test_a_short_batch_gives_the_rows_of_a_long_one() -> None:
    module = bound()
    whole = module.predict(batch(8).data[0])
    module.forward(DataBatch([batch(8).data[0][:3]]), is_train=False)  # without a label
    np.testing.assert_allclose(module.get_outputs()[0], whole[:3], atol=1e-6)


def test_only_so_many_executors_are_kept() -> None:
    module = bound()
    first = module.executor
    for count in range(1, MAX_EXECUTORS + 1):
        module.executor_for(100 + count)
    assert module.executor_for(100 + MAX_EXECUTORS) is module.executor
    assert module.executor_for(8) is not first
    np.testing.assert_array_equal(module.executor.arg_dict["fc1_bias"], first.arg_dict["fc1_bias"])


def test_reshape() -> None:
    module = bound()
    before = values(module)
    module.reshape([("data", (2, FEATURES))], [("softmax_label", (2,))])
    assert module.output_shapes == [("softmax_output", (2, 3))]
    assert all(np.array_equal(before[name], array) for name, array in values(module).items())
    with pytest.raises(ValueError, match="data_shapes names"):
        module.reshape([("x", (2, FEATURES))])
    with pytest.raises(MXNetError, match=r"'fc1_weight' has shape \(4, 5\).*force_rebind=True"):
        module.reshape([("data", (2, 9))], [("softmax_label", (2,))])
    assert module.output_shapes == [("softmax_output", (2, 3))]


def test_arrays_of_the_wrong_shape_in_a_batch() -> None:
    module = bound()
    with pytest.raises(MXNetError, match=r"'softmax_label' has shape \(8,\).* \(7,\)"):
        module.forward(DataBatch([batch(8).data[0]], [nd.zeros((7,))]))


def test_batches_may_name_their_inputs_in_another_order() -> None:
    symbol = sym.Variable("a") * 2.0 + sym.Variable("b")
    module = Module(symbol, data_names=["a", "b"], label_names=None)
    module.bind([("a", (2, 1)), ("b", (2, 1))], for_training=False)
    module.init_params()
    a, b = nd.array([[1], [2]]), nd.array([[10], [20]])
    module.forward(DataBatch([a, b]))
    assert module.get_outputs()[0].ravel().tolist() == [12, 24]
    module.forward(DataBatch([b, a], provide_data=[("b", (2, 1)), ("a", (2, 1))]))
    assert module.get_outputs()[0].ravel().tolist() == [12, 24]


# -- binding again -------------------------------------------------------------------------------


def test_a_second_bind_is_ignored_with_a_line(caplog: pytest.LogCaptureFixture) -> None:
    module = bound()
    before = module.executor
    with caplog.at_level(logging.WARNING):
        module.bind([("data", (2, FEATURES))], [("softmax_label", (2,))])
    assert caplog.messages == ["Already bound, ignoring bind()"]
    assert module.executor is before


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_binding_again_keeps_parameters_and_optimizer_states(optimizer: str) -> None:
    settings = {"learning_rate": 0.05}
    if optimizer == "sgd":
        settings["momentum"] = 0.9
    unbroken, broken = learner(optimizer, settings), learner(optimizer, settings)
    train(unbroken, 3)
    train(broken, 3)
    broken.bind([("data", (6, FEATURES))], [("softmax_label", (6,))], force_rebind=True)
    assert broken.data_shapes == [("data", (6, FEATURES))]
    train(unbroken, 3, first=3)
    train(broken, 3, first=3)
    assert_same_bits(broken, unbroken)


def test_a_bind_that_fails_changes_nothing() -> None:
    module = learner()
    train(module, 1)
    before, executor = values(module), module.executor
    with pytest.raises(MXNetError):
        module.bind([("data", (8, 2))], LABEL, for_training=False, force_rebind=True)
    assert module.executor is executor
    assert module.for_training
    train(module, 1)
    assert not np.array_equal(before["fc1_weight"], values(module)["fc1_weight"])
