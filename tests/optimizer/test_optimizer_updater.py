"""States, float32 masters, the updater, stored states and copies."""

from __future__ import annotations

import copy
import pickle
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from golden_optimizers import flat_arrays
from optimizer_rows import ROWS, VARIANTS

import mxtrain as mx
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.lr_scheduler import FactorScheduler
from mxtrain.optimizer.rule import BoundRule, Slot
from mxtrain.sparse import RowSparseNDArray

every_variant = pytest.mark.parametrize(("name", "variant"), VARIANTS)


def random_grads(steps: int, dtype: str = "float32") -> list[Any]:
    return list(np.random.default_rng(0).normal(size=(steps, 1, 5)).astype(dtype))


# -- arrays that are refused -------------------------------------------------------------------


@pytest.mark.usefixtures("each_backend")
@pytest.mark.parametrize("name", ["sgd", "adam", "adagrad", "ftrl", "rmsprop"])
@pytest.mark.parametrize(
    "change",
    [lambda a: a[:2], lambda a: np.tile(a, 2), lambda a: a.astype("float64"), lambda a: "text"],
    ids=["short", "long", "double", "text"],
)
def test_a_state_that_is_not_like_its_weight_is_refused(name: str, change: Any) -> None:
    optimizer = mx.opt.create(name, learning_rate=0.1, **{"sgd": {"momentum": 0.9}}.get(name, {}))
    weight = np.ones(5, "float32")
    room = np.zeros(20, "float32")
    made = optimizer.create_state(3, weight)
    tell = "update of parameter 3: its state .*, and the weight \\(5,\\) float32; make it with"
    for given in (change(room[:5]), RowSparseNDArray(np.ones((1,), "float32"), [0], (5,))):
        is_sparse = isinstance(given, RowSparseNDArray)
        grad: Any = given if is_sparse else np.ones(5, "float32")
        wrong = change(room[:5])
        state = [wrong for _ in made] if isinstance(made, tuple) else wrong
        with pytest.raises(MXNetError, match=tell):
            optimizer.update(3, weight, grad, state)
    assert not room.any() and (weight == 1).all()


@pytest.mark.usefixtures("each_backend")
def test_arrays_that_cannot_be_written_are_refused() -> None:
    """Compiled code would not notice."""
    fixed, grad = np.ones(5000, "float32"), np.ones(5000, "float32")
    fixed.flags.writeable = False
    adam = mx.opt.create("adam")
    with pytest.raises(MXNetError, match="update of parameter 0: the weight is read-only"):
        mx.opt.get_updater(adam)(0, grad, fixed)
    weight = np.ones(5000, "float32")
    with pytest.raises(MXNetError, match="update of parameter 0: its state var is read-only"):
        adam.update(0, weight, grad, (np.zeros_like(weight), fixed))
    assert (weight == 1).all() and (fixed == 1).all()


def test_numbers_that_are_no_floats_are_refused() -> None:
    sgd = mx.opt.create("sgd", learning_rate=0.1)
    whole = np.array([10, 20])
    with pytest.raises(MXNetError, match="weight int64, gradient float32; weights are floating"):
        sgd.update(0, whole, np.ones(2, "float32"), None)
    with pytest.raises(MXNetError, match="gradient complex64"):
        sgd.update(0, np.ones(2), np.ones(2, "complex64"), None)
    weight = np.ones(2)
    sgd.update(0, weight, np.array([1, 2]), None)
    assert np.allclose(weight, [0.9, 0.8])


@pytest.mark.parametrize("size", ["-1", "0"])
def test_no_aggregation_updates_one_by_one(size: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MXNET_OPTIMIZER_AGGREGATION_SIZE", size)
    weight = np.ones(3, "float32")
    mx.opt.get_updater(mx.opt.create("sgd", learning_rate=0.5))(0, np.ones(3, "float32"), weight)
    assert (weight == 0.5).all()
    monkeypatch.setenv("MXNET_OPTIMIZER_AGGREGATION_SIZE", "four")
    with pytest.raises(MXNetError, match="AGGREGATION_SIZE is 'four', not a whole number"):
        mx.opt.get_updater(mx.opt.create("sgd"))(0, np.ones(3, "float32"), weight)


# -- states ------------------------------------------------------------------------------------


def test_states_have_the_form_of_the_reference() -> None:
    weight = np.ones((2, 3))
    for name in ("sgd", "nag", "sgld", "lars"):
        assert mx.opt.create(name).create_state(0, weight) is None
    for name in ("sgd", "nag"):
        state = mx.opt.create(name, momentum=0.9).create_state(0, weight)
        assert state.shape == (2, 3) and not state.any()
    mean, var = mx.opt.create("adam").create_state(0, weight)
    assert mean.shape == var.shape == (2, 3) and mean is not var
    (only,) = mx.opt.create("rmsprop").create_state(0, weight)
    assert only.shape == (2, 3)
    for momentum in (0.0, 0.9):
        mom, previous = mx.opt.create("dcasgd", momentum=momentum).create_state(0, weight)
        assert (mom is None) == (momentum == 0) and np.array_equal(previous, weight)
        assert previous is not weight
    assert mx.opt.create("groupadagrad").create_state(0, weight).shape == (2, 1)
    assert mx.opt.create("muon").create_state(0, weight).shape == (2, 3)
    assert len(mx.opt.create("muon").create_state(0, weight[0])) == 2


def test_momentum_that_comes_too_late_is_an_error() -> None:
    made = mx.opt.create("sgd")
    updater = mx.opt.get_updater(made)
    updater(0, np.ones(2), np.ones(2))
    rule = BoundRule(made, [Slot(0, 0, 2)], np.ones(2), np.ones(2))
    made.momentum = 0.9
    for call in (lambda: updater(0, np.ones(2), np.ones(2)), rule.step):
        with pytest.raises(MXNetError, match="needs the state mom"):
            call()


def test_momentum_may_be_switched_off() -> None:
    plain, mixed = mx.opt.create("sgd"), mx.opt.create("sgd", momentum=0.9)
    mixed.momentum = 0.0
    weights = np.ones((2, 3))
    state = np.zeros(3)
    plain.update(0, weights[0], np.ones(3), None)
    mixed.update(0, weights[1], np.ones(3), state)
    assert np.array_equal(weights[0], weights[1])


# -- mixed precision ---------------------------------------------------------------------------


@every_variant
def test_masters_keep_what_half_precision_loses(name: str, variant: dict[str, Any]) -> None:
    made = mx.opt.create(name, multi_precision=True, learning_rate=1e-4, **variant)
    updater = mx.opt.get_updater(made)
    weight, master = np.ones((2, 2), np.float16), np.ones((2, 2), np.float32)
    alone = mx.opt.get_updater(mx.opt.create(name, learning_rate=1e-4, **variant))
    for step in range(100):
        grad = np.full((2, 2), 1.0, np.float16)
        if step == 50:
            weight[:] = 7  # the master is never re-read from the weight
        updater(0, grad, weight)
        alone(0, grad.astype(np.float32), master)
    state, kept = made.unpack_master(updater.states[0])
    assert np.array_equal(kept, master) and kept.dtype == np.float32
    assert np.array_equal(weight, master.astype(np.float16)) and (master != 1).all()
    assert updater.states[0][1 if ROWS[name].master_last else 0] is kept
    assert {array.dtype for array in flat_arrays(state)} <= {np.dtype("float32")}


def test_half_precision_without_masters_is_pointed_out() -> None:
    with pytest.warns(UserWarning, match="multi_precision=True"):
        mx.opt.create("sgd").create_state_multi_precision(0, np.ones(2, np.float16))
    for dtype in ("float32", "float64"):
        made = mx.opt.create("sgd", multi_precision=True)
        assert made.create_state_multi_precision(0, np.ones(2, dtype)) is None


# -- updater -----------------------------------------------------------------------------------


@every_variant
@pytest.mark.parametrize("half", [False, True])
def test_stored_states_continue_with_the_same_bits(
    name: str, variant: dict[str, Any], half: bool
) -> None:
    """Two parameters, a changing rate, sums half full: whatever an optimizer keeps is stored."""

    def fresh() -> Any:
        scheduler = FactorScheduler(step=3, factor=0.5, base_lr=0.1)
        settings = {"learning_rate": None, "lr_scheduler": scheduler, "multi_precision": half}
        settings["wd"] = 0.1 if ROWS[name].decays else 0.0
        return mx.opt.get_updater(mx.opt.create(name, **settings, **variant))

    grads = random_grads(10, "float16" if half else "float32")
    whole, broken = ([np.ones_like(grads[0]) for _ in range(2)] for _ in range(2))
    unbroken, first, second = fresh(), fresh(), fresh()
    for step, grad in enumerate(grads):
        both = [grad, grad * 2]
        unbroken(["w", 7], both, whole)
        if step == 5:
            stored = first.get_states(dump_optimizer=True)
            assert stored == first.get_states(dump_optimizer=True)
            second.set_states(stored)
            assert second.optimizer._index_update_count == {"w": 5, 7: 5}
        (first if step < 5 else second)(["w", 7], both, broken)
    assert np.array_equal(whole, broken)
    assert second.optimizer.num_update == 10


def test_rows_seen_by_a_half_full_sum_are_stored() -> None:
    """LBSGD applies its sum to all rows listed since the last time, also those before a restart."""

    def fresh() -> Any:
        return mx.opt.get_updater(mx.opt.create("lbsgd", batch_scale=2, momentum=0.9, wd=0.1))

    def listed(row: int) -> RowSparseNDArray:
        return RowSparseNDArray(np.full((1, 2), 1.0 + row, np.float32), [row], (4, 2))

    whole, broken = np.ones((4, 2), np.float32), np.ones((4, 2), np.float32)
    unbroken, first, second = fresh(), fresh(), fresh()
    for step, row in enumerate((0, 1, 2, 0, 3, 1)):
        unbroken(0, listed(row), whole)
        if step == 3:
            second.set_states(first.get_states(dump_optimizer=True))
        (first if step < 3 else second)(0, listed(row), broken)
    assert np.array_equal(whole, broken) and (whole != 1).all()


def test_states_without_the_optimizer_leave_its_counters() -> None:
    updater = mx.opt.get_updater(mx.opt.create("sgd", momentum=0.9))
    updater([0, 1], random_grads(2), [np.ones((1, 5), np.float32) for _ in range(2)])
    other = mx.opt.get_updater(mx.opt.create("sgd", momentum=0.9))
    other.set_states(updater.get_states())
    assert other.optimizer.num_update == 0
    for index, state in updater.states.items():
        assert np.array_equal(state, other.states[index])


def test_states_of_other_origin_are_refused() -> None:
    updater = mx.opt.get_updater(mx.opt.create("adam"))
    with pytest.raises(MXNetError, match="states of sgd, not of adam"):
        updater.set_states(mx.opt.get_updater(mx.opt.create("sgd")).get_states())
    with pytest.raises(FileFormatError):
        updater.set_states(pickle.dumps({0: None}))


def test_lists_are_grouped_by_type_and_cut_into_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    made = mx.opt.create("sgd")
    updater = mx.opt.get_updater(made)
    pieces: list[Any] = []
    monkeypatch.setattr(made, "update_multi_precision", lambda i, w, g, s: pieces.append(i))
    weights = [np.ones(1, "float64" if i % 3 == 1 else "float32") for i in range(8)]
    updater(list(range(8)), weights, weights)
    assert pieces == [(0, 2, 3, 5), (6,), (1, 4, 7)]
    updater(3, weights[3], weights[3])
    assert pieces[3:] == [(3,)]
    monkeypatch.setenv("MXNET_OPTIMIZER_AGGREGATION_SIZE", "0")
    updater([0, 1], weights[:2], weights[:2])
    assert pieces[4:] == [0, 1]


def test_lists_of_unequal_length() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mx.opt.get_updater(mx.opt.create("sgd"))([0, 1], [np.ones(1)] * 2, [np.ones(1)])


# -- copies ------------------------------------------------------------------------------------


@every_variant
@pytest.mark.parametrize("copier", [copy.deepcopy, lambda made: pickle.loads(pickle.dumps(made))])
def test_copies_continue(name: str, variant: dict[str, Any], copier: Any) -> None:
    grads = random_grads(4)
    made = mx.opt.create(name, **variant, param_dict={9: SimpleNamespace(lr_mult=1, wd_mult=1)})
    weights, state = np.ones((2, 1, 5), np.float32), None
    state = made.create_state(0, weights[0])
    for grad in grads[:2]:
        made.update(0, weights[0], grad, state)
    weights[1], other, other_state = weights[0], copier(made), copy.deepcopy(state)
    assert not other.param_dict and made.param_dict
    for grad in grads[2:]:
        made.update(0, weights[0], grad, state)
        other.update(0, weights[1], grad, other_state)
    assert np.array_equal(weights[0], weights[1])
