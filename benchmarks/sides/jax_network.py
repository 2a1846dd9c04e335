"""What both JAX sides share: the network, its loss and the update rules as pure functions."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from cases import Task

jax.config.update("jax_platforms", "cpu")

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8


def initial(task: Task) -> tuple[Any, Any]:
    """Return the weights, and the state of the optimizer."""
    weights = jax.tree.map(jnp.asarray, task.weights())
    zeros = [jax.tree.map(jnp.zeros_like, weights) for _ in range(task.rule.states)]
    return weights, (jnp.zeros((), jnp.float32), *zeros)


def loss_of(weights: Any, data: Any, label: Any) -> Any:
    """Return the mean cross-entropy."""
    for weight, bias in weights[:-1]:
        data = jax.nn.relu(data @ weight.T + bias)
    weight, bias = weights[-1]
    logarithms = jax.nn.log_softmax(data @ weight.T + bias)
    return -jnp.take_along_axis(logarithms, label[:, None], 1).mean()


def training_step(task: Task) -> Any:
    """Return ``(weights, state), (data, label) -> (weights, state), loss``."""
    rate, momentum = task.rate, task.rule.momentum
    tree_map = jax.tree.map

    def sgd(weights: Any, grads: Any, state: Any) -> Any:
        count, moving = state
        moving = tree_map(lambda m, g: momentum * m - rate * g, moving, grads)
        return tree_map(jnp.add, weights, moving), (count, moving)

    def adam(weights: Any, grads: Any, state: Any) -> Any:
        count, mean, var = state
        count = count + 1
        scaled = rate * jnp.sqrt(1 - BETA2**count) / (1 - BETA1**count)
        mean = tree_map(lambda m, g: BETA1 * m + (1 - BETA1) * g, mean, grads)
        var = tree_map(lambda v, g: BETA2 * v + (1 - BETA2) * g * g, var, grads)
        moved = tree_map(
            lambda w, m, v: w - scaled * m / (jnp.sqrt(v) + EPSILON), weights, mean, var
        )
        return moved, (count, mean, var)

    update = sgd if task.rule.name == "sgd" else adam

    def step(carried: Any, batch: Any) -> Any:
        weights, state = carried
        loss, grads = jax.value_and_grad(loss_of)(weights, *batch)
        return update(weights, grads, state), loss

    return step
