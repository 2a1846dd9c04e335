"""A module's optimizer: names and objects, users' own, element types, states in files."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import (
    FEATURES,
    assert_same_bits,
    batch,
    bound,
    initial,
    learner,
    mlp,
    train,
    values,
)

import mxtrain as mx
from mxtrain import nd
from mxtrain.errors import CallError, FileFormatError, MXNetError
from mxtrain.io import DataDesc
from mxtrain.module import Module

MOMENTUM = {"learning_rate": 0.1, "momentum": 0.9, "wd": 0.01}


def bound_as(dtype: str) -> Module:
    """Return a module whose data, labels and so parameters have an element type."""
    module = Module(mlp())
    module.bind([DataDesc("data", (8, FEATURES), dtype)], [DataDesc("softmax_label", (8,), dtype)])
    module.init_params(None, initial(mlp()), {})
    return module


class PlainSGD(mx.opt.Optimizer):
    """Momentum SGD in the classic form: its own states and update, on arrays."""

    def create_state(self, index: int, weight: Any) -> Any:
        return nd.zeros(weight.shape, dtype=weight.dtype)

    def update(self, index: int, weight: Any, grad: Any, state: Any) -> None:
        self._update_count(index)
        lr, wd = self._get_lr(index), self._get_wd(index)
        state[:] = 0.9 * state - lr * (self.rescale_grad * grad + wd * weight)
        weight[:] += state


class Begun(mx.opt.AdaGrad):
    """A built-in one whose states begin otherwise."""

    def create_state(self, index: int, weight: Any) -> Any:
        return nd.full(weight.shape, 1e6, dtype=weight.dtype)


# -- choosing one --------------------------------------------------------------------------------


def test_states_of_a_subclass_are_made_its_own_way() -> None:
    module = learner(Begun(learning_rate=0.1, rescale_grad=1 / 8))
    before = values(module)
    train(module, 3)
    moved = [abs(array - before[name]).max() for name, array in values(module).items()]
    assert 0 < max(moved) < 1e-3  # a rate of 0.1 would move each weight by about 0.1


def test_a_class_is_no_optimizer_and_no_initializer() -> None:
    with pytest.raises(CallError, match=r"optimizer is the class SGD; make one: SGD\(\)"):
        learner(mx.opt.SGD)
    module = bound()
    with pytest.raises(CallError, match=r"initializer is the class Xavier; make one: Xavier\(\)"):
        module.init_params(mx.init.Xavier, force_init=True)


def test_states_of_another_shape_are_refused_for_own_optimizers_too(tmp_path: Path) -> None:
    path = str(tmp_path / "wide.states")
    wide = Module(mlp(hidden=7))
    wide.bind([("data", (8, FEATURES))], [("softmax_label", (8,))])
    wide.init_params()
    wide.init_optimizer(optimizer=PlainSGD(rescale_grad=1 / 8))
    train(wide, 2)
    wide.save_optimizer_states(path)
    module = learner(PlainSGD(rescale_grad=1 / 8))
    train(module, 2)
    before = module._optimizing._updater.get_states()
    with pytest.raises(MXNetError, match=r"states of 'fc1_weight' do not fit: shapes \[\(7, 5\)"):
        module.load_optimizer_states(path)
    assert module._optimizing._updater.get_states() == before


class Counting(PlainSGD):
    """Keeps plain values beside its momentum."""

    def create_state(self, index: int, weight: Any) -> Any:
        return [super().create_state(index, weight), {"age": 0, "sum": np.zeros(2)}, None]

    def update(self, index: int, weight: Any, grad: Any, state: Any) -> None:
        super().update(index, weight, grad, state[0])
        state[1]["age"] += 1


def test_states_may_hold_plain_values() -> None:
    module = learner(Counting(rescale_grad=1 / 8))
    train(module, 2)
    weights = sum(array.nbytes for array in values(module).values())
    assert module.optimizer_state_bytes() == weights + 4 * 2 * 8


def test_training_on_several_machines_is_refused() -> None:
    with pytest.raises(CallError, match="kvstore 'dist_sync': training on several machines"):
        bound().init_optimizer(kvstore="dist_sync")


def test_states_by_pickle_are_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "mlp-0001.states"
    path.write_bytes(pickle.dumps({0: None}))
    with pytest.raises(FileFormatError, match=r"mlp-0001\.states: .*by pickle, which are not read"):
        learner().load_optimizer_states(str(path))


def test_a_name_gets_the_batch_size_and_the_names_of_the_parameters() -> None:
    made = learner().optimizer
    assert made.rescale_grad == 1 / 8
    assert list(made.idx2name.values()) == ["fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias"]
    assert learner(settings={"rescale_grad": 0.5}).optimizer.rescale_grad == 0.5
    by_default = bound()
    by_default.init_optimizer()
    assert by_default.optimizer.learning_rate == 0.01


def test_the_batch_axis_is_where_the_layout_says() -> None:
    product = mx.sym.Variable("data") * mx.sym.Variable("weight")
    module = Module(mx.sym.MakeLoss(product), label_names=None)
    module.bind([DataDesc("data", (3, 5), layout="TN")])
    module.init_params()
    module.init_optimizer()
    assert module.optimizer.rescale_grad == 1 / 5


def test_an_object_is_kept_with_a_warning_about_its_rescale_grad() -> None:
    module, mine = bound(), mx.opt.SGD(learning_rate=0.1)
    with pytest.warns(
        UserWarning, match=r"rescale_grad is 1.0, not 1/batch size \(0.125\)"
    ) as seen:
        module.init_optimizer(optimizer=mine)
    assert seen[0].filename == __file__
    assert module.optimizer is mine
    assert mine.idx2name[0] == "fc1_weight"


def test_other_things_are_no_optimizers() -> None:
    with pytest.raises(CallError, match="a name or an Optimizer, not a float"):
        bound().init_optimizer(optimizer=0.1)
    with pytest.raises(ValueError, match="did you mean 'adam'"):
        bound().init_optimizer(optimizer="adm")


def test_a_second_optimizer_is_ignored_unless_forced(caplog: pytest.LogCaptureFixture) -> None:
    module = learner()
    first = module.optimizer
    with caplog.at_level(logging.WARNING):
        module.init_optimizer(optimizer="adam")
    assert caplog.messages == ["optimizer already initialized, ignoring..."]
    assert module.optimizer is first
    module.init_optimizer(optimizer="adam", force_init=True)
    assert isinstance(module.optimizer, mx.opt.Adam)


def test_bytes_of_the_states() -> None:
    parameters = sum(array.size for array in bound().parameter_arrays())
    assert learner("sgd", {"learning_rate": 0.1}).optimizer_state_bytes() == 0
    assert learner("adam", {}).optimizer_state_bytes() >= 2 * 4 * parameters
    classic = bound()
    classic.init_optimizer(optimizer=PlainSGD(rescale_grad=0.125))
    assert classic.optimizer_state_bytes() == 0
    train(classic, 1)
    assert classic.optimizer_state_bytes() == 4 * parameters


# -- who learns ----------------------------------------------------------------------------------


def test_fixed_parameters_stay_and_the_others_learn_as_before() -> None:
    fixed = learner(settings=MOMENTUM, fixed_param_names=["fc1_weight", "fc2_bias"])
    start = values(fixed)
    train(fixed, 3)
    after = values(fixed)
    changed = {name for name in start if not np.array_equal(start[name], after[name])}
    assert changed == {"fc1_bias", "fc2_weight"}
    assert fixed.optimizer._index_update_count == {1: 3, 2: 3}


def test_accumulated_gradients_are_those_of_one_large_batch() -> None:
    settings = {"learning_rate": 0.1, "rescale_grad": 1 / 16}
    halves = learner("sgd", settings, bind={"grad_req": "add"})
    whole = bound(count=16)
    whole.init_optimizer(optimizer="sgd", optimizer_params=settings)
    large = batch(16)
    for part in (slice(0, 8), slice(8, 16)):
        halves.forward_backward(mx.io.DataBatch([large.data[0][part]], [large.label[0][part]]))
    halves.update()
    whole.forward_backward(large)
    whole.update()
    for name, array in values(whole).items():
        np.testing.assert_allclose(values(halves)[name], array, rtol=0, atol=1e-6)


def test_multipliers_apply() -> None:
    weight = mx.sym.Variable("fc_weight", lr_mult=0.0)
    layer = mx.sym.FullyConnected(mx.sym.Variable("data"), weight, num_hidden=3, name="fc")
    module = learner(symbol=mx.sym.SoftmaxOutput(layer, name="softmax"))
    start = values(module)
    train(module, 2)
    np.testing.assert_array_equal(values(module)["fc_weight"], start["fc_weight"])
    assert not np.array_equal(values(module)["fc_bias"], start["fc_bias"])


# -- users' own ----------------------------------------------------------------------------------


def test_a_classic_optimizer_is_called_parameter_by_parameter() -> None:
    calls: list[tuple[int, str]] = []

    class Recording(PlainSGD):
        def update(self, index: int, weight: Any, grad: Any, state: Any) -> None:
            calls.append((index, type(weight).__name__))
            super().update(index, weight, grad, state)

    module = bound()
    names = dict(enumerate(module.get_params()[0]))  # biases do not decay
    module.init_optimizer(
        optimizer=Recording(learning_rate=0.1, wd=0.01, rescale_grad=1 / 8, param_idx2name=names)
    )
    train(module, 2)
    assert calls == [(index, "NDArray") for index in range(4)] * 2
    builtin = learner(settings=MOMENTUM)
    train(builtin, 2)
    for name, array in values(builtin).items():
        np.testing.assert_allclose(values(module)[name], array, rtol=0, atol=1e-6)


def test_a_classic_optimizer_keeps_its_states_when_bound_again() -> None:
    modules = []
    for rebinds in (False, True):
        module = bound()
        module.init_optimizer(optimizer=PlainSGD(learning_rate=0.1, rescale_grad=0.125))
        train(module, 2)
        if rebinds:
            module.bind([("data", (4, FEATURES))], [("softmax_label", (4,))], force_rebind=True)
        train(module, 2, first=2)
        modules.append(module)
    assert_same_bits(*modules)


# -- element types -------------------------------------------------------------------------------


def test_float64_all_through() -> None:
    module = bound_as("float64")
    module.init_optimizer(optimizer="sgd", optimizer_params=MOMENTUM)
    single = learner(settings=MOMENTUM)
    train(module, 5, dtype="float64")
    train(single, 5)
    assert {array.dtype.name for array in values(module).values()} == {"float64"}
    assert {group.weight.dtype.name for group in module.arena.groups} == {"float64"}
    for name, array in values(module).items():
        difference = np.abs(array - values(single)[name]).max()
        assert 0 < difference < 1e-5
    given = np.random.default_rng(0).normal(size=(8, FEATURES))
    assert module.predict(given).dtype == np.float64
    rounded = given.astype(np.float32)
    assert not np.array_equal(module.predict(given), module.predict(rounded))


def test_float16_with_float32_masters() -> None:
    settings = {"learning_rate": 0.05, "momentum": 0.9, "multi_precision": True}
    half = bound_as("float16")
    half.init_optimizer(optimizer="sgd", optimizer_params=settings)
    single = learner(settings={"learning_rate": 0.05, "momentum": 0.9})
    train(half, 5, dtype="float16")
    train(single, 5)
    for name, array in values(half).items():
        assert array.dtype == np.float16
        np.testing.assert_allclose(array, values(single)[name], rtol=0, atol=4e-3)


def test_masters_keep_steps_too_small_for_float16() -> None:
    moved = {}
    for masters in (True, False):
        module = bound_as("float16")
        module.init_optimizer(
            optimizer="sgd", optimizer_params={"learning_rate": 1e-5, "multi_precision": masters}
        )
        start = values(module)
        grads = [grad for grad in module.executor.grad_dict.values() if grad is not None]
        for step in range(400):
            for grad in grads:
                grad[...] = 1
            if step == 0 and not masters:
                with pytest.warns(UserWarning, match="a float16 weight loses small updates"):
                    module.update()
            else:
                module.update()
        moved[masters] = np.abs(values(module)["fc1_weight"] - start["fc1_weight"]).max()
    assert moved[True] > moved[False]
    assert moved[True] == pytest.approx(400 * 1e-5 / 8, rel=0.6)


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "settings", "dtype"),
    [
        ("sgd", MOMENTUM, "float32"),
        ("sgd", {"learning_rate": 0.1}, "float32"),
        ("nag", MOMENTUM, "float32"),
        ("adam", {"learning_rate": 0.01}, "float32"),
        ("adam", {"learning_rate": 0.01}, "float64"),
        ("sgd", {**MOMENTUM, "multi_precision": True}, "float16"),
    ],
)
def test_loaded_states_continue_to_the_same_bits(
    name: str, settings: Any, dtype: str, tmp_path: Path
) -> None:
    def fresh() -> Module:
        module = bound_as(dtype)
        module.init_optimizer(optimizer=name, optimizer_params=dict(settings))
        return module

    unbroken = fresh()
    train(unbroken, 3, dtype=dtype)
    states, params = str(tmp_path / "o.states"), str(tmp_path / "o.params")
    unbroken.save_optimizer_states(states)
    unbroken.save_params(params)
    train(unbroken, 3, first=3, dtype=dtype)
    broken = fresh()
    train(broken, 1, first=9, dtype=dtype)  # states of its own, which are to be replaced
    broken.load_params(params)
    broken.load_optimizer_states(states)
    assert broken.optimizer.num_update == 3
    train(broken, 3, first=3, dtype=dtype)
    assert_same_bits(broken, unbroken)


def test_a_classic_optimizer_s_states_continue(tmp_path: Path) -> None:
    def fresh() -> Module:
        module = bound()
        module.init_optimizer(optimizer=PlainSGD(learning_rate=0.1, rescale_grad=0.125))
        return module

    unbroken, broken = fresh(), fresh()
    train(unbroken, 2)
    unbroken.save_optimizer_states(str(tmp_path / "s"))
    broken.set_params(*unbroken.get_params())
    broken.load_optimizer_states(str(tmp_path / "s"))
    train(unbroken, 2, first=2)
    train(broken, 2, first=2)
    assert_same_bits(broken, unbroken)


def test_a_checkpoint_continues_to_the_same_bits(tmp_path: Path) -> None:
    prefix = str(tmp_path / "model")
    unbroken = learner(settings=MOMENTUM)
    train(unbroken, 3)
    unbroken.save_checkpoint(prefix, 7, save_optimizer_states=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model-0007.params",
        "model-0007.states",
        "model-symbol.json",
    ]
    train(unbroken, 3, first=3)
    loaded = Module.load(prefix, 7, load_optimizer_states=True, label_names=["softmax_label"])
    assert loaded.params_initialized
    assert not loaded.binded
    loaded.bind([("data", (8, FEATURES))], [("softmax_label", (8,))])
    loaded.init_optimizer(optimizer="sgd", optimizer_params=MOMENTUM)
    train(loaded, 3, first=3)
    assert_same_bits(loaded, unbroken)


def test_a_checkpoint_is_refused_by_another_network(tmp_path: Path) -> None:
    prefix = str(tmp_path / "m")
    bound().save_checkpoint(prefix, 1)
    mlp(hidden=6).save(f"{prefix}-symbol.json")
    loaded = Module.load(prefix, 1)
    with pytest.raises(MXNetError, match=r"'fc1_weight' has shape \(6, 5\), .* \(4, 5\)"):
        loaded.bind([("data", (8, FEATURES))], [("softmax_label", (8,))])
    nd.save(f"{prefix}-0001.params", {"arg:fc3_weight": nd.zeros((2, 2))})
    loaded = Module.load(prefix, 1)
    with pytest.raises(ValueError, match="unknown parameter 'fc3_weight'"):
        loaded.bind([("data", (8, FEATURES))], [("softmax_label", (8,))])
    assert not loaded.binded


def test_states_that_do_not_fit_change_nothing(tmp_path: Path) -> None:
    plain, other, larger = (str(tmp_path / name) for name in ("plain", "adam", "larger"))
    module = learner(settings=MOMENTUM)
    train(module, 2)
    learner("sgd", {"learning_rate": 0.1}).save_optimizer_states(plain)
    learner("adam", {}).save_optimizer_states(other)
    learner(settings=MOMENTUM, symbol=mlp(hidden=6)).save_optimizer_states(larger)
    (tmp_path / "damaged").write_bytes(b"\x00" * 40)
    for fname, error, text in (
        (plain, MXNetError, r"states of 'fc1_weight' do not fit: shapes \[\] stored, \[\(4, 5\)\]"),
        (other, MXNetError, "adam"),
        (larger, MXNetError, r"\[\(6, 5\)\] stored, \[\(4, 5\)\] needed"),
        (str(tmp_path / "damaged"), FileFormatError, "optimizer states are damaged"),
        (str(tmp_path / "none"), MXNetError, "cannot read .*none: No such file"),
    ):
        with pytest.raises(error, match=text):
            module.load_optimizer_states(fname)
    twin = learner(settings=MOMENTUM)
    train(twin, 2)
    train(module, 2, first=2)
    train(twin, 2, first=2)
    assert_same_bits(module, twin)


def test_states_of_parameters_there_are_not(tmp_path: Path) -> None:
    three = bound(symbol=mlp())
    three.init_optimizer(optimizer=PlainSGD(rescale_grad=0.125))
    train(three, 1)
    three.save_optimizer_states(str(tmp_path / "s"))
    layer = mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3, name="fc")
    one = bound(symbol=mx.sym.SoftmaxOutput(layer, name="softmax"))
    one.init_optimizer(optimizer=PlainSGD(rescale_grad=0.125))
    with pytest.raises(MXNetError, match="states of parameter 2, this module has 2 parameters"):
        one.load_optimizer_states(str(tmp_path / "s"))
