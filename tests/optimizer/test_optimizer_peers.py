"""Rules against independent public implementations, where these are installed.

They are not among the tools of this project; the restatements stand in for them otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mxtrain as mx

GRADS = np.random.default_rng(0).normal(size=(30, 4, 3))
START = np.random.default_rng(1).normal(size=(4, 3))

# Our optimizer and settings, theirs, and the updates left out: while RAdam waits for a variance,
# PyTorch waits one update longer. Epsilon stands where it does not matter which root it joins.
TORCH = {
    "sgd": ("sgd", {"momentum": 0.9, "wd": 0.1}, "SGD", {"momentum": 0.9, "weight_decay": 0.1}, 0),
    "nag": (
        "nag",
        {"momentum": 0.9},
        "SGD",
        {"momentum": 0.9, "nesterov": True},
        0,
    ),
    "adam": ("adam", {"wd": 0.1, "epsilon": 1e-30}, "Adam", {"weight_decay": 0.1, "eps": 1e-30}, 0),
    "adamw": (
        "adamw",
        {"wd": 0.1, "epsilon": 1e-30},
        "AdamW",
        {"weight_decay": 0.1, "eps": 1e-30},
        0,
    ),
    "adamax": ("adamax", {}, "Adamax", {"eps": 0}, 0),
    "adagrad": ("adagrad", {"eps": 1e-30}, "Adagrad", {"eps": 1e-15}, 0),
    "rmsprop": (
        "rmsprop",
        {"gamma1": 0.9, "epsilon": 1e-30},
        "RMSprop",
        {"alpha": 0.9, "eps": 0},
        0,
    ),
    "radam": ("radam", {"epsilon": 1e-30}, "RAdam", {"eps": 1e-30}, 10),
    "adadelta": (
        "adadelta",
        {"rho": 0.9, "epsilon": 1e-6},
        "Adadelta",
        {"rho": 0.9, "eps": 1e-6},
        0,
    ),
}


def our_steps(name: str, settings: dict[str, Any], rate: float) -> Any:
    """The weights after each update with given gradients, in float64."""
    updater = mx.opt.get_updater(mx.opt.create(name, learning_rate=rate, **settings))
    weight, found = START.copy(), []
    for grad in GRADS:
        updater(0, grad, weight)
        found.append(weight.copy())
    return np.diff(found, axis=0)


@pytest.mark.parametrize("case", TORCH)
def test_pytorch(case: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    name, settings, theirs, their_settings, left_out = TORCH[case]
    rate = 1.0 if name == "adadelta" else 0.01
    parameter = torch.nn.Parameter(torch.tensor(START))
    optimizer = getattr(torch.optim, theirs)([parameter], lr=rate, **their_settings)
    found = []
    for grad in GRADS:
        parameter.grad = torch.tensor(grad)
        optimizer.step()
        found.append(parameter.detach().numpy().copy())
    steps = np.diff(found, axis=0)
    ours = our_steps(name, settings, rate)
    np.testing.assert_allclose(ours[left_out:], steps[left_out:], rtol=1e-9, atol=1e-13)


OPTAX = {
    "lion": ("lion", {"wd": 0.1}, {"weight_decay": 0.1, "b1": 0.9, "b2": 0.99}),
    "adabelief": ("adabelief", {"epsilon": 1e-16}, {"eps": 1e-16, "eps_root": 1e-16}),
    "adan": ("adan", {"wd": 0.1}, {"weight_decay": 0.1, "b1": 0.98, "b2": 0.92, "b3": 0.99}),
}


@pytest.mark.parametrize("case", OPTAX)
def test_optax(case: str) -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    name, settings, their_settings = OPTAX[case]
    optimizer = getattr(optax, case)(0.01, **their_settings)
    with jax.experimental.enable_x64():
        weight = jax.numpy.array(START)
        state, found = optimizer.init(weight), []
        for grad in GRADS:
            updates, state = optimizer.update(jax.numpy.array(grad), state, weight)
            weight = optax.apply_updates(weight, updates)
            found.append(np.array(weight))
    steps = np.diff(found, axis=0)
    np.testing.assert_allclose(our_steps(name, settings, 0.01), steps, rtol=1e-6, atol=1e-12)
