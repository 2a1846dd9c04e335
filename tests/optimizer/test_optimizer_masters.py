"""Float16 weights with float32 masters: bound to the arena, with the bits of the updater."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from golden_optimizers import flat_arrays
from optimizer_rows import ROWS, VARIANTS

import mxtrain as mx
from mxtrain import symbol as sym
from mxtrain.io import DataDesc
from mxtrain.module import Module

# These take a look at each parameter, or have an update of their own.
ONE_BY_ONE = {"groupadagrad", "lamb", "lars", "lbsgd", "muon", "nadam", "sgld"}
TOGETHER = [(name, variant) for name, variant in VARIANTS if name not in ONE_BY_ONE]
NAMES = ("fc1_weight", "fc1_bias", "fc2_weight", "fc2_bias")
FEATURES, ROWS_OF_A_BATCH = 5, 8
ADAM = {"learning_rate": 0.01, "wd": 0.01, "multi_precision": True}


def bound(name: str, settings: Any, biases: bool = True) -> Module:
    """Return a module of float16 weights with an optimizer."""
    x = sym.FullyConnected(sym.Variable("data"), num_hidden=4, no_bias=not biases, name="fc1")
    x = sym.FullyConnected(x, num_hidden=3, no_bias=not biases, name="fc2")
    module = Module(sym.SoftmaxOutput(x, name="softmax"))
    bind(module)
    random = np.random.default_rng(1)
    shapes = {n: a.shape for n, a in module.executor.arg_dict.items() if n in NAMES}
    given = {n: mx.nd.array(random.normal(size=shape)) for n, shape in shapes.items()}
    module.init_params(None, given, {})
    module.init_optimizer(optimizer=name, optimizer_params=dict(settings))
    return module


def bind(module: Module, **options: Any) -> None:
    data = DataDesc("data", (ROWS_OF_A_BATCH, FEATURES), "float16")
    labels = DataDesc("softmax_label", (ROWS_OF_A_BATCH,), "float16")
    module.bind([data], [labels], **options)


def values(module: Module) -> dict[str, np.ndarray]:
    return {name: array.asnumpy() for name, array in module.get_params()[0].items()}


def gradients(shapes: Any, seed: int = 0) -> Iterator[list[np.ndarray]]:
    """Yield gradients with zeros, numbers of every size float16 has, and subnormal ones."""
    random = np.random.default_rng(seed)
    while True:
        found = []
        for shape in shapes:
            sizes = np.exp2(random.integers(-24, 13, shape))
            grad = (random.standard_normal(shape) * sizes).astype(np.float16)
            grad[random.random(shape) < 0.2] = 0
            found.append(grad)
        yield found


def learn(module: Module, grads: list[np.ndarray]) -> None:
    """Update once with these gradients."""
    for name, grad in zip(parameters(module), grads, strict=True):
        module.executor.grad_dict[name][...] = grad
    module.update()


def parameters(module: Module) -> list[str]:
    return [name for name in NAMES if name in values(module)]


class ByUpdater:
    """The same optimizer and weights, one by one through the updater."""

    def __init__(self, module: Module, name: str, settings: Any) -> None:
        self.names = parameters(module)
        idx2name = dict(enumerate(self.names))
        made = mx.opt.create(
            name, param_idx2name=idx2name, rescale_grad=1 / ROWS_OF_A_BATCH, **settings
        )
        self.updater = mx.opt.get_updater(made)
        self.weights = [values(module)[name] for name in self.names]

    def learn(self, grads: list[np.ndarray]) -> None:
        with np.errstate(all="ignore"):
            self.updater(list(range(len(grads))), grads, self.weights)


def states_of(module: Module) -> dict[int, Any]:
    found: dict[int, Any] = module._optimizing.state()["states"]
    return found


def assert_same(module: Module, other: ByUpdater) -> None:
    """Compare weights, masters and states: their form and every bit."""
    for name, weight in zip(other.names, other.weights, strict=True):
        assert values(module)[name].tobytes() == weight.tobytes(), name
    mine, theirs = states_of(module), other.updater.states
    assert mine.keys() == theirs.keys()
    for index in mine:
        assert form(mine[index]) == form(theirs[index])
        for a, b in zip(flat_arrays(mine[index]), flat_arrays(theirs[index]), strict=True):
            assert (a.dtype, a.tobytes()) == (b.dtype, b.tobytes())


def form(state: Any) -> Any:
    if isinstance(state, (list, tuple)):
        return [form(one) for one in state]
    return None if state is None else state.shape


def both(name: str, settings: Any) -> tuple[Module, ByUpdater, Iterator[list[np.ndarray]]]:
    settings = {**settings, "multi_precision": True}
    module = bound(name, settings, biases=not ROWS[name].matrices_only)
    other = ByUpdater(module, name, settings)
    return module, other, gradients([weight.shape for weight in other.weights])


falling = mx.lr_scheduler.FactorScheduler


@pytest.mark.parametrize(("name", "variant"), VARIANTS)
@pytest.mark.parametrize("clip", [None, 0.5])
def test_the_bits_of_the_updater(name: str, variant: dict[str, Any], clip: float | None) -> None:
    schedule = falling(step=7, factor=0.5, base_lr=0.1)
    wd = 0.1 * ROWS[name].decays
    settings = {"wd": wd, "clip_gradient": clip, "learning_rate": None, "lr_scheduler": schedule}
    module, other, grads = both(name, {**settings, **variant})
    for _ in range(20):
        now = next(grads)
        learn(module, now)
        other.learn(now)
    assert_same(module, other)
    assert bool(module._optimizing._rules) == (name not in ONE_BY_ONE)
    assert bool(module._optimizing._loose) == (name in ONE_BY_ONE)


@pytest.mark.parametrize("name", ["sgd", "adam", "dcasgd", "nag"])
def test_masters_that_training_has_spoiled_are_not_made_anew(name: str) -> None:
    """Not a number in the first element, and what the others hold beyond float16."""
    module, other, grads = both(name, {"learning_rate": 0.01})
    for step in range(4):
        now = next(grads)
        if step == 1:
            now[0][0, 0], now[1][0] = np.nan, np.inf
        learn(module, now)
        other.learn(now)
    assert np.isnan(other.weights[0][0, 0])
    assert_same(module, other)


@pytest.mark.parametrize("changed", ["lr_mult", "lagging"])
def test_parameters_that_differ(changed: str) -> None:
    module, other, grads = both("adam", {"learning_rate": 0.01, "wd": 0.1})
    for step in range(6):
        if step == 2 and changed == "lr_mult":
            for optimizer in (module.optimizer, other.updater.optimizer):
                optimizer.set_lr_mult({"fc1_bias": 0.5})
        if step == 2 and changed == "lagging":
            for optimizer in (module.optimizer, other.updater.optimizer):
                optimizer._index_update_count[1] = 1
        now = next(grads)
        learn(module, now)
        other.learn(now)
    assert_same(module, other)


@pytest.mark.parametrize("name", ["adam", "dcasgd"])
def test_masters_begin_in_the_first_update(name: str) -> None:
    """With the weights of that time; what is loaded into float16 later has no effect on them."""
    module, other, grads = both(name, {"learning_rate": 0.01})
    given = {name: mx.nd.array(array + 1) for name, array in values(module).items()}
    module.set_params(given, {})
    for name, weight in zip(other.names, other.weights, strict=True):
        weight[...] = given[name].asnumpy()
    for step in range(4):
        if step == 2:
            module.set_params({name: array * 3 for name, array in given.items()}, {})
        now = next(grads)
        learn(module, now)
        other.learn(now)
    assert_same(module, other)


@pytest.mark.parametrize(("name", "variant"), TOGETHER)
@pytest.mark.parametrize("updates", [0, 3])
def test_states_that_the_updater_stored(
    name: str, variant: dict[str, Any], updates: int, tmp_path: Path
) -> None:
    """Into a new module, and into one that has learned something else."""
    module, other, grads = both(name, {"learning_rate": 0.01, **variant})
    used, _, elsewhere = both(name, {"learning_rate": 0.01, **variant})
    for _ in range(2):
        learn(used, next(elsewhere))
    for _ in range(updates):
        other.learn(next(grads))
    path = tmp_path / "o.states"
    path.write_bytes(other.updater.get_states(dump_optimizer=True))
    weights = {n: mx.nd.array(w) for n, w in zip(other.names, other.weights, strict=True)}
    for one in (module, used):
        one.set_params(weights, {})
        one.load_optimizer_states(str(path))
    for _ in range(3):
        now = next(grads)
        for learner in (module, used, other):
            learner.learn(now) if isinstance(learner, ByUpdater) else learn(learner, now)
    assert_same(module, other)
    assert_same(used, other)


def test_states_of_before_the_first_update(tmp_path: Path) -> None:
    """They hold no masters yet: these begin with the weights of where they are loaded."""
    path = str(tmp_path / "o.states")
    bound("adam", ADAM).save_optimizer_states(path)
    module, other, grads = both("adam", ADAM)
    module.load_optimizer_states(path)
    now = next(grads)
    learn(module, now)
    other.learn(now)
    assert_same(module, other)


def test_bound_again_masters_move_along() -> None:
    module, other, grads = both("adam", ADAM)
    for step in range(4):
        if step == 2:
            bind(module, force_rebind=True)
        now = next(grads)
        learn(module, now)
        other.learn(now)
    assert_same(module, other)


@pytest.mark.parametrize("name", ["sgd", "adam", "dcasgd"])
def test_updates_told_ahead(name: str) -> None:
    """What `ahead` hands out is all there is to an update."""
    module, other, grads = both(name, {"learning_rate": 0.01, "wd": 0.1})
    now = next(grads)
    for _ in range(5):
        other.learn(now)
    for name, grad in zip(parameters(module), now, strict=True):
        module.executor.grad_dict[name][...] = grad
    told = module.updates_ahead(5)
    assert told is not None
    for segment, rows in told:
        assert len(rows) == 5
        for row in rows:
            segment.run(tuple(row))
    module.updates_made(5)
    assert_same(module, other)


def test_bytes() -> None:
    module = bound("adam", ADAM)
    (rule,) = module._optimizing._rules
    size = rule.weight.size
    assert module.optimizer_state_bytes() == size * (4 + 4 + 4)
    # The gradient is read, the weight written; master and moments both.
    assert module.update_bytes() == size * (2 + 2) + 2 * size * 12
    learn(module, next(gradients([array.shape for array in values(module).values()])))
    assert module.optimizer_state_bytes() == size * (4 + 4 + 4)
    assert module.optimizer_scratch_bytes() > size * 4  # the gradient in float32
