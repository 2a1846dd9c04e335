"""Users' own optimizers: the classic way, one formula, wrapped methods."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import pytest
from optimizer_rows import COMMON

import mxtrain as mx
from mxtrain.optimizer import Optimizer
from mxtrain.optimizer.rule import BoundRule, Slot
from mxtrain.settings import settings


@pytest.fixture
def own_names() -> Iterator[None]:
    """Forget what a test registers."""
    registry = mx.opt.registry
    classes, aliases = dict(registry._classes), dict(registry._aliases)
    yield
    registry._classes, registry._aliases = classes, aliases


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


@pytest.mark.usefixtures("own_names")
def test_a_class_with_the_name_of_an_alias_takes_it() -> None:
    mx.opt.registry.alias("gentle")(mx.opt.SGD)
    with pytest.warns(UserWarning, match="'gentle' now means .*another name of 'sgd'"):
        gentle = mx.opt.register(type("Gentle", (Optimizer,), {}))
    assert mx.opt.registry.get("gentle") is gentle
    assert "gentle" not in mx.opt.registry.aliases_of("sgd")
