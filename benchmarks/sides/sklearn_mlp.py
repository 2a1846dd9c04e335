"""scikit-learn's `MLPClassifier`: `partial_fit` over the rows of several batches."""

from __future__ import annotations

from typing import Any

import numpy as np
from cases import BATCHES, Task
from sklearn.neural_network import MLPClassifier

from sides.base import Side


class TwoColumns:
    """Gives two classes a column each; scikit-learn by itself makes one column of them."""

    def transform(self, label: Any) -> Any:
        """Return (rows, 2)."""
        return np.stack([label == 0, label == 1], 1)


class SklearnMlp(Side):
    """`stride` steps in a call, so that the checks at its beginning count for little."""

    def __init__(self, task: Task) -> None:
        network = task.network
        self.stride = network.call()
        self.batches, self.size = task.batches(), network.batch
        self.model = MLPClassifier(
            network.sizes[1:-1],
            activation="relu",
            solver=task.rule.name,
            alpha=0.0,
            batch_size=network.batch,
            learning_rate_init=task.rate,
            momentum=task.rule.momentum,
            nesterovs_momentum=False,
            shuffle=False,
            tol=0.0,
            n_iter_no_change=2**40,
        )
        self._begin(task)
        self.whole = self._joined(self.stride)

    def _begin(self, task: Task) -> None:
        """Let the model be made by its first call, then give it the task's weights."""
        model, weights = self.model, task.weights()
        data, label = self.batches[0]
        model.partial_fit(data, label, classes=np.arange(task.network.sizes[-1]))
        model.coefs_ = [np.ascontiguousarray(weight.T) for weight, _ in weights]
        model.intercepts_ = [bias for _, bias in weights]
        model.out_activation_ = "softmax"
        if task.network.sizes[-1] == 2:
            model._label_binarizer = TwoColumns()
        del model._optimizer

    def _joined(self, count: int) -> tuple[Any, Any]:
        batches = [self.batches[number % BATCHES] for number in range(count)]
        return np.concatenate([b.data for b in batches]), np.concatenate([b.label for b in batches])

    def steps(self, count: int) -> None:
        """Take steps."""
        for _ in range(count // self.stride):
            self.model.partial_fit(*self.whole)

    def losses(self, count: int) -> list[float]:
        """Take steps, from the first batch, a call each, and return the loss of each."""
        found = []
        for number in range(count):
            self.model.partial_fit(*self.batches[number % BATCHES])
            found.append(float(self.model.loss_))
        return found
