"""JAX, one jitted function per step; its buffers are donated."""

from __future__ import annotations

from itertools import cycle

import jax
import jax.numpy as jnp
from cases import Task

from sides.base import Side
from sides.jax_network import initial, training_step


class JaxStep(Side):
    """The batches are JAX's own arrays beforehand: nothing is copied on the way in."""

    def __init__(self, task: Task) -> None:
        self.step = jax.jit(training_step(task), donate_argnums=0)
        self.carried = initial(task)
        arrays = [(jnp.asarray(b.data), jnp.asarray(b.label, jnp.int32)) for b in task.batches()]
        self.batches = cycle(arrays)

    def steps(self, count: int) -> None:
        """Take steps."""
        step, carried = self.step, self.carried
        for _, batch in zip(range(count), self.batches, strict=False):
            carried, self.latest = step(carried, batch)
        self.carried = jax.block_until_ready(carried)

    def losses(self, count: int) -> list[float]:
        """Take steps and return the loss of each."""
        found = []
        for _ in range(count):
            self.steps(1)
            found.append(float(self.latest))
        return found
