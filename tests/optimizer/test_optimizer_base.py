"""What all optimizers share: constructors, rates, multipliers, counts, masters, the updater."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pytest
from optimizer_rows import ROWS, VARIANTS

import mxtrain as mx
from mxtrain.errors import FileFormatError, MXNetError
from mxtrain.lr_scheduler import FactorScheduler, LRScheduler
from mxtrain.optimizer import Optimizer
from mxtrain.optimizer.rule import BoundRule, Slot
from mxtrain.settings import settings

every_row = pytest.mark.parametrize("name", ROWS)
every_variant = pytest.mark.parametrize(("name", "variant"), VARIANTS)

COMMON = (
    "rescale_grad",
    "param_idx2name",
    "wd",
    "clip_gradient",
    "learning_rate",
    "lr_scheduler",
    "sym",
    "begin_num_update",
    "multi_precision",
    "param_dict",
)


class Identity(LRScheduler):
    """Rates that show which num_update they were asked for."""

    def __call__(self, num_update: int) -> float:
        return float(num_update)


@pytest.fixture
def own_names() -> Iterator[None]:
    """Forget what a test registers."""
    registry = mx.opt.registry
    classes, aliases = dict(registry._classes), dict(registry._aliases)
    yield
    registry._classes, registry._aliases = classes, aliases


def random_grads(steps: int, size: int = 5, dtype: str = "float32") -> list[Any]:
    return list(np.random.default_rng(0).normal(size=(steps, size)).astype(dtype))


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
    made = cls(*[0.25] * len(own))
    assert all(getattr(made, argument) == 0.25 for argument in own)
    with pytest.raises(TypeError, match="positional"):
        cls(*[0.25] * (len(own) + 1))


def test_the_base_class_takes_its_arguments_by_position() -> None:
    made = Optimizer(0.5, {0: "a"}, 0.1, 2.0, 0.3)
    assert (made.rescale_grad, made.idx2name, made.wd) == (0.5, {0: "a"}, 0.1)
    assert (made.clip_gradient, made.lr) == (2.0, 0.3)
    assert tuple(setting.name for setting in settings(Optimizer)) == COMMON


@every_row
def test_every_setting_has_a_meaning_and_every_class_its_source(name: str) -> None:
    cls = mx.opt.registry.get(name)
    assert all(setting.meaning for setting in settings(cls))
    assert "MXNet 1.9.1" in cls.__dict__["__doc__"] and ".. math::" in cls.__dict__["__doc__"]


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
    with pytest.warns(UserWarning, match=r"0\.3 replaces the base_lr 0\.4 of FactorScheduler"):
        mx.opt.create(name, learning_rate=0.3, lr_scheduler=scheduler)
    assert scheduler.base_lr == 0.3
    mx.opt.create(name, learning_rate=0.3, lr_scheduler=scheduler)  # equal: no warning

    scheduler = FactorScheduler(step=2, base_lr=0.4)
    if ROWS[name].passes_rate_on:
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
    grads, weights = np.zeros((2, 3), dtype), np.zeros((2, 3), dtype)
    for _ in range(2):
        updater(1, grads[1], weights[1])
    rates = noted_rates(made)
    updater([0, 1], list(grads), list(weights))
    assert rates == ([3, 3] if ROWS[name].counts_pieces else [2, 3])
    assert made.num_update == 3
    assert made._index_update_count == {0: 1, 1: 3}


@every_row
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
    together = ROWS[name].counts_pieces and size in (None, "2")
    assert looked_up[0] == ([3, 3, 3] if together else [2, 3, 3])
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


# -- states ------------------------------------------------------------------------------------


def test_states_have_the_form_of_the_reference() -> None:
    weight = np.ones((2, 3))
    for name, kwargs in (("sgd", {}), ("nag", {}), ("sgd", {"momentum": -1})):
        assert mx.opt.create(name, **kwargs).create_state(0, weight) is None
    for name in ("sgd", "nag"):
        state = mx.opt.create(name, momentum=0.9).create_state(0, weight)
        assert state.shape == (2, 3) and not state.any()
    mean, var = mx.opt.create("adam").create_state(0, weight)
    assert mean.shape == var.shape == (2, 3) and mean is not var


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
    made = mx.opt.create(name, multi_precision=True, learning_rate=1e-5, **variant)
    updater = mx.opt.get_updater(made)
    weight, master = np.ones(4, np.float16), np.ones(4, np.float32)
    alone = mx.opt.get_updater(mx.opt.create(name, learning_rate=1e-5, **variant))
    for step in range(100):
        grad = np.full(4, 1.0, np.float16)
        if step == 50:
            weight[:] = 7  # the master is never re-read from the weight
        updater(0, grad, weight)
        alone(0, grad.astype(np.float32), master)
    state, kept = made.unpack_master(updater.states[0])
    assert np.array_equal(kept, master) and kept.dtype == np.float32
    assert np.array_equal(weight, master.astype(np.float16)) and weight[0] < 1
    assert updater.states[0][1 if ROWS[name].master_last else 0] is kept
    assert state is None or np.array(state).dtype == np.float32


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
    def fresh() -> Any:
        scheduler = FactorScheduler(step=3, factor=0.5, base_lr=0.1)
        return mx.opt.get_updater(
            mx.opt.create(
                name,
                learning_rate=None,
                lr_scheduler=scheduler,
                wd=0.1,
                multi_precision=half,
                **variant,
            )
        )

    grads = random_grads(10, dtype="float16" if half else "float32")
    whole, broken = np.ones_like(grads[0]), np.ones_like(grads[0])
    unbroken, first, second = fresh(), fresh(), fresh()
    for step, grad in enumerate(grads):
        unbroken("w", grad, whole)
        if step == 5:
            stored = first.get_states(dump_optimizer=True)
            assert stored == first.get_states(dump_optimizer=True)
            second.set_states(stored)
            assert second.optimizer._index_update_count == {"w": 5}
        (first if step < 5 else second)("w", grad, broken)
    assert np.array_equal(whole, broken)
    assert second.optimizer.num_update == 10


def test_states_without_the_optimizer_leave_its_counters() -> None:
    updater = mx.opt.get_updater(mx.opt.create("sgd", momentum=0.9))
    updater([0, 1], random_grads(2), [np.ones(5, np.float32) for _ in range(2)])
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
    weights, state = np.ones((2, 5), np.float32), None
    state = made.create_state(0, weights[0])
    for grad in grads[:2]:
        made.update(0, weights[0], grad, state)
    weights[1], other, other_state = weights[0], copier(made), copy.deepcopy(state)
    assert not other.param_dict and made.param_dict
    for grad in grads[2:]:
        made.update(0, weights[0], grad, state)
        other.update(0, weights[1], grad, other_state)
    assert np.array_equal(weights[0], weights[1])


# -- users' own optimizers ---------------------------------------------------------------------


@pytest.mark.usefixtures("own_names")
def test_the_classic_way() -> None:
    @mx.opt.register
    class Slowing(Optimizer):
        """Rate over the count, with an ordinary constructor and nested states."""

        def __init__(self, power: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.power = power

        def create_state(self, index: int, weight: Any) -> Any:
            return (np.zeros_like(weight), [np.zeros_like(weight), None])

        def update(self, index: int, weight: Any, grad: Any, state: Any) -> None:
            self._update_count(index)
            lr, wd = self._get_lr(index), self._get_wd(index)
            t = self._index_update_count[index]
            state[0][:] += grad
            weight[:] -= lr / t**self.power * (grad * self.rescale_grad + wd * weight)

    made = mx.opt.create("SLOWING", power=2.0, learning_rate=0.5, rescale_grad=0.5)
    assert not made.has_rule
    assert [setting.name for setting in settings(Slowing)] == ["power", *COMMON]
    updater = mx.opt.get_updater(made)
    weight = np.ones(2)
    updater([4], [np.ones(2)], [weight])
    updater(4, np.ones(2), weight)
    assert weight.tolist() == [1 - 0.25 - 0.25 / 4] * 2
    other = mx.opt.get_updater(mx.opt.create("slowing"))
    other.set_states(updater.get_states(dump_optimizer=True))
    assert other.states[4][0].tolist() == [2, 2] and other.states[4][1][1] is None
    half = np.ones(2, np.float16)
    mixed = mx.opt.get_updater(Slowing(multi_precision=True, learning_rate=0.5))
    mixed(0, np.ones(2, np.float16), half)
    assert half.tolist() == [0.5, 0.5]


@pytest.mark.usefixtures("own_names")
def test_the_one_formula_way() -> None:
    @mx.opt.register(aliases=("sign_descent",))
    class Signs(Optimizer):
        """Steps along the sign of an average."""

        share: Annotated[float, "of the old average"] = 0.5

        extra_scalars = ("warm",)

        def scalars(self, lr: float, wd: float, t: int) -> dict[str, float]:
            return {"warm": min(1.0, t / 2)}

        def rule(self, xp: Any) -> Any:
            def step(weight: Any, grad: Any, average: Any, lr: Any, share: Any, warm: Any) -> Any:
                average = share * average + (1 - share) * grad
                return weight - lr * warm * xp.sign(average), average

            return step

    made = mx.opt.create("Sign_Descent", learning_rate=0.5, share=0.25)
    assert made.has_rule and isinstance(made, Signs)
    weight = np.array([1.0, 1.0])
    updater = mx.opt.get_updater(made)
    for _ in range(2):
        updater(0, np.array([2.0, -2.0]), weight)
    assert weight.tolist() == [1 - 0.25 - 0.5, 1 + 0.25 + 0.5]
    assert updater.states[0].tolist() == [1.875, -1.875]

    flat = np.array([1.0, 1.0])
    made = Signs(0.25, learning_rate=0.5)
    rule = BoundRule(made, [Slot(0, 0, 2)], flat, np.array([2.0, -2.0]))
    rule.step()
    rule.step()
    assert np.array_equal(flat, weight)
    assert rule.states["average"].tolist() == [1.875, -1.875]


@pytest.mark.parametrize("method", ["update", "update_multi_precision"])
def test_a_subclass_that_wraps_a_method_is_called(method: str) -> None:
    calls = []

    class Counted(mx.opt.SGD):
        pass

    def wrapped(self: Any, index: Any, weight: Any, grad: Any, state: Any) -> None:
        calls.append(index)
        getattr(super(Counted, self), method)(index, weight, grad, state)

    setattr(Counted, method, wrapped)
    made = Counted(0.9, learning_rate=0.5)
    assert not made.has_rule
    weight, expected = np.ones(2), np.ones(2)
    updater = mx.opt.get_updater(made)
    plain = mx.opt.get_updater(mx.opt.SGD(0.9, learning_rate=0.5))
    for _ in range(2):
        updater([0], [np.ones(2)], [weight])
        plain([0], [np.ones(2)], [expected])
    assert set(map(str, calls)) <= {"0", "(0,)"} and len(calls) >= 2
    assert np.array_equal(weight, expected)


@pytest.mark.usefixtures("own_names")
def test_register_warns_when_it_replaces() -> None:
    with pytest.warns(UserWarning, match="optimizer 'sgd' now means"):
        replaced = mx.opt.register(type("SGD", (Optimizer,), {}))
    assert mx.opt.registry.get("sgd") is replaced
    assert Optimizer.register is mx.opt.register


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
