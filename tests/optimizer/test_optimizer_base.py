"""What all optimizers share: constructors, rates, multipliers and counts."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from optimizer_rows import COMMON, ROWS

import mxtrain as mx
from mxtrain.errors import MXNetError
from mxtrain.lr_scheduler import FactorScheduler, LRScheduler
from mxtrain.optimizer import Optimizer
from mxtrain.optimizer.rule import BoundRule, Slot
from mxtrain.settings import settings

every_row = pytest.mark.parametrize("name", ROWS)
ONE_OR_MORE = ("batch_scale", "updates_per_epoch", "num_epochs", "ns_steps")


class Identity(LRScheduler):
    """Rates that show which num_update they were asked for."""

    def __call__(self, num_update: int) -> float:
        return float(num_update)


def noted_rates(optimizer: Optimizer) -> list[float]:
    """Collect the rates an optimizer looks up, in order."""
    found: list[float] = []
    look_up = optimizer._get_lrs

    def noting(indices: Any) -> list[float]:
        found.extend(rates := look_up(indices))
        return rates

    optimizer._get_lrs = noting
    return found


# -- constructors ------------------------------------------------------------------------------


@every_row
def test_positional_order_and_names_are_those_of_the_reference(name: str) -> None:
    cls, own = mx.opt.registry.get(name), ROWS[name].own
    found = tuple(setting.name for setting in settings(cls))
    assert found[: len(own)] == own
    assert set(found) == {*own, *COMMON}
    values = [1 if name in ONE_OR_MORE else 0.25 for name in own]
    made = cls(*values)
    assert [getattr(made, argument) for argument in own] == values
    with pytest.raises(TypeError, match="positional"):
        cls(*values, 0.25)


def test_the_base_class_takes_its_arguments_by_position() -> None:
    made = Optimizer(0.5, {0: "a"}, 0.1, 2.0, 0.3)
    assert (made.rescale_grad, made.idx2name, made.wd) == (0.5, {0: "a"}, 0.1)
    assert (made.clip_gradient, made.lr) == (2.0, 0.3)
    assert tuple(setting.name for setting in settings(Optimizer)) == COMMON


@every_row
def test_every_setting_has_a_meaning_and_every_class_its_source(name: str) -> None:
    cls = mx.opt.registry.get(name)
    assert all(setting.meaning for setting in settings(cls))
    text = " ".join(cls.__dict__["__doc__"].split())
    assert ROWS[name].source in text and ".. math::" in text
    assert ("MXNet 1.9.1" in text) != ("Not in MXNet" in text)


def test_names_are_copied() -> None:
    names = {0: "a_bias"}
    made = mx.opt.create("sgd", param_idx2name=names, wd=1.0)
    names[1] = "b_bias"
    assert made.idx2name == {0: "a_bias"}
    assert made.wd_mult == {"a_bias": 0.0}


def test_rescale_grad_of_none_is_one() -> None:
    assert mx.opt.create("sgd", rescale_grad=None).rescale_grad == 1.0


def test_repr_shows_what_differs() -> None:
    assert repr(mx.opt.create("nag", wd=0.5)) == "NAG(momentum=0.0, wd=0.5, learning_rate=0.01)"


# -- learning rate -----------------------------------------------------------------------------


@every_row
def test_rate_without_and_with_scheduler(name: str) -> None:
    row = ROWS[name]
    made = mx.opt.create(name)
    assert made.learning_rate == made.lr == row.rate
    made.set_learning_rate(0.7)
    assert made.learning_rate == made.lr == 0.7
    assert mx.opt.create(name, learning_rate=0.3).learning_rate == 0.3

    scheduler = FactorScheduler(step=2, factor=0.5, base_lr=0.4)
    made = mx.opt.create(name, learning_rate=None, lr_scheduler=scheduler)
    assert (made.lr, scheduler.base_lr, made.learning_rate) == (None, 0.4, 0.4)
    made.num_update = 5
    assert made.learning_rate == 0.1
    with pytest.raises(UserWarning, match="scheduler"):
        made.set_learning_rate(0.1)
    with pytest.raises(AttributeError):
        made.learning_rate = 0.1


@every_row
def test_a_rate_beside_a_scheduler_replaces_its_base_lr(name: str) -> None:
    scheduler = FactorScheduler(step=2, base_lr=0.4)
    if ROWS[name].beside_scheduler == "never":
        mx.opt.create(name, learning_rate=0.3, lr_scheduler=scheduler)
        assert scheduler.base_lr == 0.4
        return
    with pytest.warns(UserWarning, match=r"0\.3 replaces the base_lr 0\.4 of FactorScheduler"):
        mx.opt.create(name, learning_rate=0.3, lr_scheduler=scheduler)
    assert scheduler.base_lr == 0.3
    mx.opt.create(name, learning_rate=0.3, lr_scheduler=scheduler)  # equal: no warning

    scheduler = FactorScheduler(step=2, base_lr=0.4)
    if ROWS[name].beside_scheduler == "always":
        with pytest.warns(UserWarning, match="replaces the base_lr"):
            mx.opt.create(name, lr_scheduler=scheduler)
        assert scheduler.base_lr == ROWS[name].rate
    else:
        mx.opt.create(name, lr_scheduler=scheduler)
        assert scheduler.base_lr == 0.4


def test_neither_rate_nor_scheduler() -> None:
    made = mx.opt.create("sgd")
    made.lr = None
    with pytest.raises(MXNetError, match="neither"):
        made.update(0, np.ones(1), np.ones(1), None)


# -- multipliers -------------------------------------------------------------------------------


def test_lookup_order_of_multipliers() -> None:
    made = mx.opt.create("sgd", learning_rate=1.0, wd=1.0, param_idx2name={0: "a", 1: "b", 2: "c"})
    made.set_lr_mult({0: 2.0, "a": 3.0, "b": 4.0})
    assert made._get_lrs([0, 1, 2, 7]) == [2, 4, 1, 1]
    made.param_dict = {0: SimpleNamespace(lr_mult=5.0, wd_mult=6.0)}
    assert (made._get_lr(0), made._get_wd(0)) == (5, 6)
    made.set_lr_mult({})
    assert made._get_lrs([1, 2]) == [1, 1]


def test_decay_multipliers_by_name_and_from_the_symbol() -> None:
    weight = mx.sym.Variable("fc_weight", lr_mult=3.0, wd_mult=0.5)
    bias = mx.sym.Variable("fc_bias", wd_mult=2.0)
    net = mx.sym.FullyConnected(
        mx.sym.Variable("data"), weight=weight, bias=bias, num_hidden=2, name="fc"
    )
    names = dict(enumerate(["fc_weight", "fc_bias", "bn_gamma", "bn_beta", "myweight"]))
    made = mx.opt.create("sgd", sym=net, param_idx2name=names, learning_rate=1.0, wd=1.0)
    assert made._get_lrs(range(5)) == [3, 1, 1, 1, 1]
    assert made._get_wds(range(5)) == [0.5, 2, 1, 0, 0]
    made.set_wd_mult({"fc_weight": 7.0, 3: 8.0})
    assert made._get_wds(range(5)) == [7, 2, 1, 8, 0]


def test_biases_decay_when_names_come_late() -> None:
    made = mx.opt.create("sgd", wd=1.0)
    made.idx2name = {0: "fc_bias"}
    assert made._get_wd(0) == 1
    made.set_wd_mult({})
    assert made._get_wd(0) == 0


# -- counting ----------------------------------------------------------------------------------


@every_row
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_pieces_count_together_or_one_by_one(name: str, dtype: str) -> None:
    """Parameter 0 lags behind 1: it sees the new num_update only if the piece counts first."""
    made = mx.opt.create(name, learning_rate=None, lr_scheduler=Identity(), multi_precision=True)
    updater = mx.opt.get_updater(made)
    grads, weights = np.zeros((2, 1, 3), dtype), np.zeros((2, 1, 3), dtype)
    for _ in range(2):
        updater(1, grads[1], weights[1])
    rates = noted_rates(made)
    updater([0, 1], list(grads), list(weights))
    assert tuple(rates) == ROWS[name].rates_seen
    assert made.num_update == 3
    assert made._index_update_count == {0: 1, 1: 3}


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.in_arena])
@pytest.mark.parametrize("size", ["0", "1", "2", None])
def test_uneven_counts_in_the_arena(
    name: str, size: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The arena gives the updater's bits, whatever the pieces."""
    if size is not None:
        monkeypatch.setenv("MXNET_OPTIMIZER_AGGREGATION_SIZE", size)
    weights = np.random.default_rng(1).normal(size=(3, 4))
    flat, grads = weights.ravel().copy(), np.random.default_rng(2).normal(size=(3, 4))
    looked_up = []
    for in_arena in (False, True):
        made = mx.opt.create(name, learning_rate=None, lr_scheduler=Identity(), wd=0.01)
        made._update_count([1, 1, 2])
        looked_up.append(noted_rates(made))
        if in_arena:
            slots = [Slot(i, 4 * i, 4 * i + 4) for i in (2, 0, 1)]
            BoundRule(made, slots, flat, grads.ravel()).step()
        else:
            mx.opt.get_updater(made)([0, 1, 2], list(grads), list(weights))
    assert looked_up[0] == looked_up[1]
    seen = list(ROWS[name].rates_seen)
    if seen == [3, 3] and size in ("0", "1"):
        seen = [2, 3]
    assert looked_up[0] == (seen and [*seen, 3])
    assert np.array_equal(flat.reshape(3, 4), weights)


def test_counts_start_at_begin_num_update_and_are_kept_per_device() -> None:
    made = mx.opt.create("sgd", begin_num_update=10)
    made._update_count(3)
    assert (made.num_update, made._index_update_count) == (11, {3: 11})
    made._set_current_context(1)
    assert made._index_update_count == {}
    made._update_count([3, 4])
    made._set_current_context(0)
    assert (made.num_update, made._index_update_count) == (11, {3: 11})


def test_a_class_without_rule_or_update() -> None:
    with pytest.raises(NotImplementedError, match="Optimizer"):
        Optimizer().update(0, np.ones(1), np.ones(1), None)
    assert Optimizer().create_state(0, np.ones(1)) is None


def test_old_spelling_is_the_same_class() -> None:
    assert mx.opt.ccSGD is mx.opt.SGD is mx.opt.registry.get("CCSGD")


def test_the_package_imports_without_numpy() -> None:
    code = (
        "import sys, mxtrain.optimizer as o; o.Adam; o.create('adam', wd=0.1);"
        "sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
