"""Random numbers of a module's steps are a pure function of seed and step."""

from __future__ import annotations

import numpy as np
from networks import assert_same_bits, batch, learner, mlp, train, values

import mxtrain as mx
from mxtrain import nd
from mxtrain import symbol as sym
from mxtrain.io import DataBatch
from mxtrain.module import Module


def masks(seed: int) -> Module:
    """Return a module whose output shows the mask of a Dropout layer."""
    mx.random.seed(seed)
    module = Module(sym.Dropout(sym.Variable("data"), p=0.5, name="drop"), label_names=None)
    module.bind([("data", (4, 50))], for_training=True, inputs_need_grad=True)
    module.init_params()
    return module


def mask(module: Module, rows: int = 4) -> np.ndarray:
    module.forward(DataBatch([nd.ones((rows, 50))]), is_train=True)
    return module.get_outputs()[0].asnumpy()


def test_masks_depend_on_seed_and_step_only() -> None:
    one, two, other = masks(3), masks(3), masks(4)
    np.random.seed(1)
    first = [mask(one) for _ in range(3)]
    np.random.seed(2)
    mx.random.generator().normal(size=10)
    again = [mask(two) for _ in range(3)]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], mask(other))


def test_forwards_for_prediction_do_not_move_the_masks() -> None:
    one, two = masks(3), masks(3)
    for _ in range(2):
        two.forward(DataBatch([nd.ones((4, 50))]), is_train=False)
        assert (two.get_outputs()[0] == 1).all()
        np.testing.assert_array_equal(mask(one), mask(two))


def test_executors_of_other_sizes_count_the_same_steps() -> None:
    one, two = masks(3), masks(3)
    mask(one)
    mask(two, rows=2)
    assert one.random.steps == two.random.steps
    np.testing.assert_array_equal(mask(one), mask(two))


def test_setting_the_steps_back_repeats_the_masks() -> None:
    module = masks(3)
    mask(module)
    kept = dict(module.random.steps)
    expected = [mask(module) for _ in range(2)]
    module.random.steps.update(kept)
    np.testing.assert_array_equal([mask(module) for _ in range(2)], expected)
    fresh = masks(3)
    fresh.random.steps.update(kept)
    np.testing.assert_array_equal([mask(fresh) for _ in range(2)], expected)


def test_a_training_with_dropout_continues_to_the_same_bits() -> None:
    def fresh() -> Module:
        mx.random.seed(5)
        return learner(symbol=mlp(hidden=16, dropout=0.3))

    unbroken, first = fresh(), fresh()
    train(unbroken, 6)
    train(first, 3)
    second = fresh()
    second.set_params(*first.get_params())
    for index, state in first._optimizing._updater.states.items():
        second._optimizing._updater.states[index][...] = state
    second.random.steps.update(first.random.steps)
    train(second, 3, first=3)
    assert_same_bits(second, unbroken)


def test_binding_again_goes_on_with_the_steps() -> None:
    one, two = masks(3), masks(3)
    mask(one)
    mask(two)
    two.bind([("data", (4, 50))], inputs_need_grad=True, force_rebind=True)
    np.testing.assert_array_equal(mask(one), mask(two))


def test_backward_uses_the_mask_of_the_forward() -> None:
    module = masks(3)
    shown = mask(module)
    module.backward([nd.ones((4, 50))])
    np.testing.assert_array_equal(module.get_input_grads()[0], shown)
    assert set(np.unique(shown)) == {0, 2}
    assert batch(1).data[0].shape[0] == 1
    assert values(module) == {}
