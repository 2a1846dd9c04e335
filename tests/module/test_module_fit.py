"""fit, score and predict: what the recorded runs do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import (
    assert_same_bits,
    batch,
    bound,
    initial,
    iterator,
    learner,
    mlp,
    rows,
    train,
    values,
)

import mxtrain as mx
from mxtrain.errors import CallError
from mxtrain.io import NDArrayIter
from mxtrain.module import Module


def test_the_example_of_the_module_api() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(1280, 20))
    classes = (features @ rng.normal(size=(20, 10))).argmax(axis=1)
    train_iter = mx.io.NDArrayIter(features, classes, batch_size=128)

    # fmt: off
    data = mx.symbol.Variable('data')
    label = mx.symbol.Variable('softmax_label')
    fc = mx.symbol.FullyConnected(data, name='fc', num_hidden=10)
    loss = mx.symbol.SoftmaxOutput(fc, label, name='softmax')
    mod = mx.mod.Module(loss)
    mod.bind(data_shapes=[('data', (128, 20))], label_shapes=[('softmax_label', (128,))])
    mod.init_params(mx.initializer.Uniform(scale=1.0))
    lr_sch = mx.lr_scheduler.FactorScheduler(step=100, factor=0.9)
    # The scheduler's own base_lr (0.01) gives way to the optimizer's rate.
    with pytest.warns(UserWarning, match="base_lr"):
        mod.init_optimizer(optimizer='sgd', optimizer_params=(('learning_rate', 0.1), ('lr_scheduler', lr_sch)))  # noqa: E501  (as scripts have it)
    # fmt: on
    before = dict(mod.score(train_iter, ["acc", "ce"]))
    train_iter.reset()
    # fit binds, initializes and takes an optimizer only where that has not happened.
    with pytest.warns(UserWarning, match="parameters are initialized already"):
        mod.fit(train_iter, num_epoch=3)
    after = dict(mod.score(train_iter, ["acc", "ce"]))
    assert after["cross-entropy"] < before["cross-entropy"] * 0.75
    assert mod.optimizer.num_update == 30
    assert mod.optimizer.learning_rate == 0.1


def test_fit_is_forward_backward_update() -> None:
    fitted, stepped = Module(mlp()), bound(count=4)
    data = iterator(12, 4)
    fitted.fit(data, num_epoch=2, arg_params=initial(mlp()), optimizer_params=RATE)
    stepped.init_optimizer(optimizer_params=RATE)
    for _ in range(2):
        data.reset()
        for one in data:
            stepped.forward_backward(one)
            stepped.update()
    assert_same_bits(fitted, stepped)


RATE = {"learning_rate": 0.1, "momentum": 0.9}


def test_a_second_fit_continues_and_force_init_draws_anew() -> None:
    once, twice = (Module(mlp()) for _ in range(2))
    start = initial(mlp())
    once.fit(iterator(8, 4), num_epoch=4, arg_params=start, optimizer_params=RATE)
    twice.fit(iterator(8, 4), num_epoch=2, arg_params=start, optimizer_params=RATE)
    with pytest.warns(UserWarning, match="initialized already"):
        twice.fit(iterator(8, 4), begin_epoch=2, num_epoch=4)
    assert_same_bits(once, twice)
    twice.fit(iterator(8, 4), num_epoch=1, arg_params=start, force_init=True)
    assert twice.optimizer.num_update == 10
    assert np.abs(values(twice)["fc1_weight"] - start["fc1_weight"]).max() < 0.5


def test_fit_can_bind_to_another_batch_size() -> None:
    module = Module(mlp())
    module.fit(iterator(8, 4), num_epoch=1)
    with pytest.warns(UserWarning, match="initialized already"):
        module.fit(iterator(9, 3), num_epoch=1, force_rebind=True)
    assert module.data_shapes == [("data", (3, 5))]
    assert module.optimizer.num_update == 2 + 3


def test_fit_takes_data_from_its_beginning() -> None:
    """fit resets after every epoch, not before the first, as in the reference."""
    data = iterator(8, 4)
    list(data)
    with pytest.raises(StopIteration, match=r"gave no batch; call reset\(\) on"):
        Module(mlp()).fit(data, num_epoch=1)
    data.reset()
    Module(mlp()).fit(data, num_epoch=1)


def test_fit_needs_an_end() -> None:
    with pytest.raises(CallError, match="fit needs num_epoch, the epoch to stop before"):
        Module(mlp()).fit(iterator(8, 4))


def test_callbacks_may_be_one_function_or_several() -> None:
    seen: list[Any] = []
    module = Module(mlp())
    module.fit(
        iterator(8, 4),
        eval_data=iterator(4, 4),
        num_epoch=1,
        batch_end_callback=[lambda p: seen.append(p.nbatch), lambda p: seen.append(p.locals)],
        epoch_end_callback=lambda epoch, symbol, args, aux: seen.append((epoch, sorted(args))),
        eval_batch_end_callback=(lambda p: seen.append(p.locals["self"]),),
    )
    assert seen[0::2][:2] == [0, 1]
    assert seen[1]["self"] is module
    assert {"epoch", "nbatch", "train_data", "data_batch", "eval_metric"} <= seen[1].keys()
    assert seen[4] == (0, ["fc1_bias", "fc1_weight", "fc2_bias", "fc2_weight"])
    assert seen[5] is module


def test_score_can_leave_padding_out() -> None:
    module = bound(count=4)
    data, label = rows(10)
    hits = (module.predict(data).argmax(axis=1) == label).sum()
    padded = NDArrayIter(data, label, 4)
    assert dict(module.score(padded, "acc", count_padding=False))["accuracy"] == hits / 10
    by_hand = NDArrayIter(np.concatenate([data, data[:2]]), np.concatenate([label, label[:2]]), 4)
    assert module.score(padded, "acc") == module.score(by_hand, "acc")


def test_predictions_stay_when_the_next_ones_are_made() -> None:
    module = bound(count=4)
    data, _ = rows(8)
    first = module.predict(data[:4])
    kept = first.copy()
    module.predict(data[4:])
    np.testing.assert_array_equal(first, kept)
    whole = module.predict(NDArrayIter(data, None, 4))
    np.testing.assert_array_equal(whole[:4], kept)
    listed = module.predict(NDArrayIter(data, None, 4), merge_batches=False)
    assert [outputs[0].shape for outputs in listed] == [(4, 3), (4, 3)]


def test_predict_takes_iterators_and_arrays() -> None:
    with pytest.raises(ValueError, match="predict takes a data iterator or an array, not a list"):
        bound().predict([1, 2, 3])


def test_parameters_handed_out_are_copies_that_are_kept_up_to_date() -> None:
    module = learner()
    arg_params, aux_params = module.get_params()
    before = arg_params["fc1_weight"].copy()
    arg_params["fc1_weight"][:] = 7
    module.set_params(initial(mlp()), aux_params)
    train(module, 1)
    assert module.get_params()[0] is arg_params
    assert np.abs(arg_params["fc1_weight"] - before).max() < 1


def test_missing_parameters_keep_what_was_learned() -> None:
    module = learner()
    train(module, 2)
    learned = module.executor.arg_dict["fc1_weight"].copy()
    given = {"fc2_bias": np.array([1, 2, 3])}
    module.init_params(None, given, {}, allow_missing=True, force_init=True)
    np.testing.assert_array_equal(values(module)["fc1_weight"], learned)
    assert values(module)["fc2_bias"].tolist() == [1, 2, 3]


def test_parameters_of_the_wrong_shape() -> None:
    module = bound()
    wrong = {**initial(mlp()), "fc1_bias": np.zeros(9)}
    with pytest.raises(mx.MXNetError, match=r"'fc1_bias' has shape \(4,\), the array given \(9,\)"):
        module.set_params(wrong, {})
    with pytest.raises(mx.MXNetError, match="no value for the parameter 'fc1_bias'"):
        module.set_params({"fc2_bias": np.zeros(3)}, {})
    with pytest.raises(ValueError, match="unknown argument 'fc9'"):
        module.set_params({"fc9": np.zeros(3)}, {}, allow_missing=True)


def test_arrays_changed_in_place_are_seen_after_mark_changed() -> None:
    module = bound()
    module.get_params()
    module.parameter_arrays()[0][...] = 3
    module.mark_changed()
    assert (values(module)["fc1_weight"] == 3).all()
    module.forward(batch(8))
    assert module.get_outputs(merge_multi_context=False)[0][0] is module.get_outputs()[0]
