"""JAX, a whole epoch in one jitted `lax.scan`, its batches in memory beforehand."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from cases import BATCHES, CALL_OPERATIONS, Task

from sides.base import Side
from sides.jax_network import initial, training_step


class JaxScan(Side):
    """`stride` steps in a call."""

    operations = CALL_OPERATIONS

    def __init__(self, task: Task) -> None:
        self.stride = task.network.call(self.operations)
        step = training_step(task)
        self.epoch = jax.jit(lambda carried, xs: jax.lax.scan(step, carried, xs), donate_argnums=0)
        self.carried = initial(task)
        self.source = task.batches()
        self.whole = self._stacked(self.stride)

    def _stacked(self, count: int) -> Any:
        batches = [self.source[number % BATCHES] for number in range(count)]
        data = np.stack([batch.data for batch in batches])
        label = np.stack([batch.label for batch in batches]).astype(np.int32)
        return jnp.asarray(data), jnp.asarray(label)

    def steps(self, count: int) -> None:
        """Take steps."""
        for _ in range(count // self.stride):
            self.carried, _ = self.epoch(self.carried, self.whole)
        jax.block_until_ready(self.carried)

    def losses(self, count: int) -> list[float]:
        """Take steps, from the first batch, in one call and return the loss of each."""
        self.carried, losses = self.epoch(self.carried, self._stacked(count))
        return [float(loss) for loss in losses]
