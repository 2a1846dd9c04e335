"""mxtrain, many steps in a call: compiled for the processor, or captured on a GPU.

So does `mxtrain fit` train wherever all of a step is compiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import BATCHES, CALL_OPERATIONS, GPU_CALL_OPERATIONS, Task, cross_entropy

from mxtrain import backend as backends
from mxtrain.backend.numpy import StepParts
from sides.base import Side
from sides.mxtrain_step import bound_module


class Call(Side):
    """The driver of a backend over the plan of a bound module and its update rules."""

    name: str
    operations: float

    def __init__(self, task: Task) -> None:
        self.stride, size = task.network.call(self.operations), task.network.batch
        self.backend = backends.get(self.name)
        self.module = bound_module(task, self.name)
        executor = self.module.executor
        buffers = [np.asarray(executor.arg_dict[name]) for name in ("data", "softmax_label")]
        batches = task.batches()
        data = np.concatenate([batch.data for batch in batches])
        self.label = np.concatenate([batch.label for batch in batches]).astype(np.float32)
        self.rows = np.arange(len(data)).reshape(BATCHES, size)
        self.done = 0
        self.output = np.asarray(executor.outputs[0])
        gathered = [
            (source, buffer, None)
            for source, buffer in zip((data, self.label), buffers, strict=True)
        ]
        self.drivers = [self._driver(gathered, kept) for kept in ([], [self.output])]
        self.kept_alive = gathered

    def _driver(self, gathered: list[Any], kept: list[Any]) -> Any:
        plan, updates = self.module.executor.plan, self.module.updates_ahead(1)
        passes = plan.forward(True).lines, plan.backward(True)[0].lines
        rules = [rule for rule, _ in updates or ()]
        parts = StepParts(
            size=len(self.rows[0]),
            gathered=gathered,
            passes=passes,
            looked_at=[self.output],
            gradients=[],
            rules=rules,
            kept=kept,
            step=self.module.random.steps.of(True),
        )
        steps = self.backend.steps(parts)
        if steps is None or updates is None:
            raise NotImplementedError("not every line of this network is compiled")
        return steps

    def _run(self, driver: Any, count: int, targets: list[Any]) -> None:
        while count:
            scalars = [row for _, row in self.module.updates_ahead(count)]
            wanted = len(scalars[0])
            order = np.arange(self.done, self.done + wanted) % BATCHES
            done, _ = driver.run(np.ascontiguousarray(self.rows[order]), scalars, targets)
            self.module.updates_made(done)
            self.done += done
            if done < wanted:
                raise ArithmeticError("the outputs are not finite")
            targets = [target[done:] for target in targets]
            count -= done

    def steps(self, count: int) -> None:
        """Take steps, `stride` in a call."""
        for _ in range(count // self.stride):
            self._run(self.drivers[0], self.stride, [])

    def losses(self, count: int) -> list[float]:
        """Take steps in one call and return the loss of each."""
        first = self.done
        outputs = self.backend.empty((count, *self.output.shape), np.float32)
        self._run(self.drivers[1], count, [outputs])
        labels = [self.label[self.rows[number % BATCHES]] for number in range(first, self.done)]
        return [cross_entropy(*pair) for pair in zip(outputs, labels, strict=True)]


class NumbaCall(Call):
    """One compiled function, which calls the BLAS."""

    name, operations = "numba", CALL_OPERATIONS


class CupyCall(Call):
    """Captured steps, which a GPU repeats."""

    name, operations = "cupy", GPU_CALL_OPERATIONS

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return why there is no GPU to run on."""
        return backends.problem(cls.name)
