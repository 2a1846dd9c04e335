"""thinc: a chain of Relu layers and Softmax, its own cross-entropy and Adam."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import numpy as np
from cases import Task, cross_entropy
from thinc.api import Adam, CategoricalCrossentropy, Relu, Softmax, chain

from sides.base import Side


class ThincMlp(Side):
    """A step is `begin_update`, the backward pass it returns, and `finish_update`."""

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return what thinc has no rule for."""
        (task,) = arguments
        return "has no SGD with momentum" if task.rule.momentum else ""

    def __init__(self, task: Task) -> None:
        batches, sizes = task.batches(), task.network.sizes
        layers = [*(Relu(width) for width in sizes[1:-1]), Softmax(sizes[-1])]
        self.model = chain(*layers)
        self.model.initialize(X=batches[0].data, Y=np.eye(sizes[-1], dtype=np.float32))
        for layer, (weight, bias) in zip(layers, task.weights(), strict=True):
            layer.set_param("W", weight)
            layer.set_param("b", bias)
        self.optimizer = Adam(task.rate, L2=0.0, grad_clip=0.0, use_averages=False)
        self.criterion = CategoricalCrossentropy()
        self.batches = cycle(batches)

    def steps(self, count: int) -> None:
        """Take steps."""
        model, optimizer, criterion = self.model, self.optimizer, self.criterion
        for _, (data, label) in zip(range(count), self.batches, strict=False):
            guesses, backward = model.begin_update(data)
            backward(criterion.get_grad(guesses, label))
            model.finish_update(optimizer)
            self.latest = guesses, label

    def losses(self, count: int) -> list[float]:
        """Take steps and return the loss of each."""
        found = []
        for _ in range(count):
            self.steps(1)
            found.append(cross_entropy(*self.latest))
        return found
