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

ANYWHERE = 1e-30  # an epsilon that does not matter, whichever root it joins

# Our settings, their class and settings, and the updates left out: PyTorch's RAdam waits one update
# longer than the paper's for its variance.
TORCH: dict[str, tuple[dict[str, Any], str, dict[str, Any], int]] = {
    "sgd": ({"momentum": 0.9, "wd": 0.1}, "SGD", {"momentum": 0.9, "weight_decay": 0.1}, 0),
    "nag": ({"momentum": 0.9}, "SGD", {"momentum": 0.9, "nesterov": True}, 0),
    "adam": ({"wd": 0.1, "epsilon": ANYWHERE}, "Adam", {"weight_decay": 0.1, "eps": 0}, 0),
    "adamw": ({"wd": 0.1, "epsilon": ANYWHERE}, "AdamW", {"weight_decay": 0.1, "eps": 0}, 0),
    "nadam": ({"wd": 0.1}, "NAdam", {"weight_decay": 0.1}, 0),
    "adamax": ({}, "Adamax", {"eps": 0}, 0),
    "adagrad": ({"eps": ANYWHERE}, "Adagrad", {"eps": 0}, 0),
    "rmsprop": ({"gamma1": 0.9, "epsilon": ANYWHERE}, "RMSprop", {"alpha": 0.9, "eps": 0}, 0),
    "radam": ({"epsilon": ANYWHERE}, "RAdam", {"eps": 0}, 10),
    "adadelta": ({"rho": 0.9, "epsilon": 1e-6}, "Adadelta", {"rho": 0.9, "eps": 1e-6}, 0),
}


def our_steps(name: str, settings: dict[str, Any], rate: float) -> Any:
    """The weights after each update with given gradients, in float64."""
    updater = mx.opt.get_updater(mx.opt.create(name, learning_rate=rate, **settings))
    weight, found = START.copy(), []
    for grad in GRADS:
        updater(0, grad, weight)
        found.append(weight.copy())
    return np.diff(found, axis=0)


@pytest.mark.parametrize("name", TORCH)
def test_pytorch(name: str) -> None:
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    settings, theirs, their_settings, left_out = TORCH[name]
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
    np.testing.assert_allclose(ours[left_out:], steps[left_out:], rtol=1e-7, atol=1e-13)


def test_pytorch_muon() -> None:
    """PyTorch iterates in bfloat16, so that steps agree to a few parts in a hundred."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    if not hasattr(torch.optim, "Muon"):
        pytest.skip("this PyTorch has no Muon")
    parameter = torch.nn.Parameter(torch.tensor(START))
    optimizer = torch.optim.Muon([parameter], lr=0.02, momentum=0.95, weight_decay=0.1)
    found = []
    for grad in GRADS:
        parameter.grad = torch.tensor(grad)
        optimizer.step()
        found.append(parameter.detach().numpy().copy())
    steps, ours = np.diff(found, axis=0), our_steps("muon", {"wd": 0.1}, 0.02)
    errors = np.linalg.norm(steps - ours, axis=(1, 2)) / np.linalg.norm(ours, axis=(1, 2))
    assert errors.max() < 0.05


# Not Adan: Optax weighs the difference of gradients by 1 - b2 where the paper has what is b2 there.
OPTAX: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "lion": ({"wd": 0.1}, {"weight_decay": 0.1, "b1": 0.9, "b2": 0.99}),
    "adabelief": ({"epsilon": 1e-16}, {"eps": 1e-16, "eps_root": 1e-16}),
}


@pytest.mark.parametrize("name", OPTAX)
def test_optax(name: str) -> None:
    optax = pytest.importorskip("optax", reason="Optax is not installed")
    jax = pytest.importorskip("jax", reason="JAX is not installed")
    settings, their_settings = OPTAX[name]
    optimizer = getattr(optax, name)(0.01, **their_settings)
    jax.config.update("jax_enable_x64", True)
    weight = jax.numpy.array(START)
    state, found = optimizer.init(weight), []
    for grad in GRADS:
        updates, state = optimizer.update(jax.numpy.array(grad), state, weight)
        weight = optax.apply_updates(weight, updates)
        found.append(np.array(weight))
    steps = np.diff(found, axis=0)
    np.testing.assert_allclose(our_steps(name, settings, 0.01), steps, rtol=1e-6, atol=1e-12)
