"""The networks, optimizers, first weights and batches that every side gets alike."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]

BATCHES = 8
# Steps whose losses are compared. Longer, and a unit that lies within rounding of zero falls on the
# other side of relu in one of two sides; from there on they are different runs. One more than the
# batches, so that the first batch is seen again.
COMPARED = 2 * BATCHES + 1
# Floating-point operations of a call that runs several steps at once, on processors and on GPUs.
CALL_OPERATIONS, GPU_CALL_OPERATIONS = 4e9, 4e12


@dataclass(frozen=True)
class Network:
    """A chain of fully connected layers with relu between them and softmax at the end."""

    sizes: tuple[int, ...]
    batch: int

    @property
    def label(self) -> str:
        """Sizes and batch as text; equal hidden layers are counted."""
        first, *hidden, last = self.sizes
        runs = [(size, len(list(run))) for size, run in groupby(hidden)]
        middle = [f"{count}x{size}" if count > 2 else "-".join([str(size)] * count)
                  for size, count in runs]  # fmt: skip
        return f"{'-'.join([str(first), *middle, str(last)])} / {self.batch}"

    @property
    def parameters(self) -> int:
        """The number of weights and biases."""
        return sum((a + 1) * b for a, b in pairwise(self.sizes))

    @property
    def operations(self) -> int:
        """Floating-point operations of the matrix products of a step."""
        products = [a * b for a, b in pairwise(self.sizes)]
        return 2 * self.batch * (3 * sum(products) - products[0])

    def call(self, operations: float = CALL_OPERATIONS) -> int:
        """How many steps the sides take in a call that run several at once."""
        return int(min(256, max(4, operations // self.operations)))


class Rule(NamedTuple):
    """An optimizer by its name in mxtrain, with its rate for ordinary and for very wide layers."""

    name: str
    title: str
    rate: float
    wide_rate: float
    momentum: float
    states: int

    def rate_for(self, network: Network) -> float:
        """Return a rate at which the loss falls."""
        return self.wide_rate if max(network.sizes) > 1024 else self.rate

    @property
    def settings(self) -> dict[str, float]:
        """The settings in mxtrain but for the rate."""
        return {"momentum": self.momentum} if self.momentum else {}

    @property
    def words(self) -> int:
        """Words read and written per weight: the gradient once, weight and states twice."""
        return 3 + 2 * self.states


# So small that differences of rounding stay differences of rounding in every network.
SGD = Rule("sgd", "SGD with momentum", 0.001, 0.0001, 0.9, 1)
ADAM = Rule("adam", "Adam", 0.0002, 0.00001, 0.0, 2)
RULES = (SGD, ADAM)
DEEP = Network((*[64] * 21, 10), 32)
LARGE = Network((784, 4096, 4096, 10), 4096)
NETWORKS = (
    Network((20, 16, 2), 16),
    Network((64, 128, 64, 10), 32),
    Network((784, 512, 256, 10), 128),
    Network((784, 4096, 4096, 10), 512),
    DEEP,
)
GPU_NETWORKS = (*NETWORKS[1:4], LARGE)


class Batch(NamedTuple):
    """Rows and the class of each."""

    data: Array
    label: Array


@dataclass(frozen=True)
class Task:
    """What a side is to train: a network with an optimizer."""

    network: Network
    rule: Rule

    @property
    def label(self) -> str:
        """The network and the optimizer as text."""
        return f"{self.network.label}, {self.rule.title}"

    @property
    def rate(self) -> float:
        """The learning rate."""
        return self.rule.rate_for(self.network)

    @property
    def compared(self) -> int:
        """Steps whose losses are compared."""
        return COMPARED if self.network.operations < 1e10 else BATCHES + 1

    def weights(self) -> list[tuple[Array, Array]]:
        """Draw (outputs, inputs) weights and biases of each layer (He and others 2015).

        Those of the last layer are a quarter, so that no probability is so small at first that a
        library would clip it.
        """
        generator = np.random.default_rng(2)
        drawn: list[tuple[Array, Array]] = []
        for inputs, outputs in pairwise(self.network.sizes):
            deviation = np.float32((2 / inputs) ** 0.5)
            weight = deviation * generator.standard_normal((outputs, inputs), np.float32)
            drawn.append((weight, np.zeros(outputs, np.float32)))
        drawn[-1][0][...] *= np.float32(0.25)
        return drawn

    def batches(self) -> list[Batch]:
        """Draw batches of noisy class centres.

        The second half repeats the rows of the first with half of the classes redrawn: no network
        can learn both, so the gradients stay of ordinary size however long the measurement takes.
        """
        generator = np.random.default_rng(1)
        classes, features, rows = self.network.sizes[-1], self.network.sizes[0], self.network.batch
        centres = generator.standard_normal((classes, features), np.float32)
        batches: list[Batch] = []
        for _ in range(BATCHES // 2):
            label = generator.integers(0, classes, rows)
            noise = generator.standard_normal((rows, features), np.float32)
            batches.append(Batch(centres[label] + noise, label))
        for batch in batches[: BATCHES // 2]:
            redrawn = generator.integers(0, classes, rows)
            keep = np.arange(rows) % 2 == 0
            batches.append(Batch(batch.data, np.where(keep, batch.label, redrawn)))
        return batches


def cross_entropy(probability: Array, label: Array) -> float:
    """Return the mean cross-entropy of probabilities, (rows, classes)."""
    chosen = probability[np.arange(len(label)), label.astype(np.int64)]
    return float(-np.log(chosen).mean())
