"""The least a step can take: its matrix products alone, and its update's bytes at copy speed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from cases import Task
from machine import usable_cores
from sides.base import Timed

SQUARE = 2048
SQUARE_OPERATIONS = 2 * SQUARE**3


def products_of(
    task: Task, placed: Callable[[Any], Any] = lambda array: array
) -> list[tuple[Any, Any, Any]]:
    """Return factors and results of the matrix products of forward and backward.

    `placed` puts an array where the products are computed.
    """
    generator = np.random.default_rng(3)
    rows = task.network.batch

    def array(*shape: int) -> Any:
        return placed(generator.standard_normal(shape, np.float32))

    lines: list[tuple[Any, Any, Any]] = []
    for number, (inputs, outputs) in enumerate(pairwise(task.network.sizes)):
        data, weight, head = array(rows, inputs), array(outputs, inputs), array(rows, outputs)
        lines.append((data, weight.T, array(rows, outputs)))
        lines.append((head.T, data, array(outputs, inputs)))
        if number:
            lines.append((head, weight, array(rows, inputs)))
    return lines


class Products(Timed):
    """The matrix products of forward and backward, by NumPy's BLAS, into memory made beforehand."""

    def __init__(self, task: Task) -> None:
        self.lines = products_of(task)

    def steps(self, count: int) -> None:
        """Run the products of so many steps."""
        dot, lines = np.dot, self.lines
        for _ in range(count):
            for left, right, out in lines:
                dot(left, right, out)


class SquareProduct(Timed):
    """One large product, for the peak of the BLAS."""

    def __init__(self) -> None:
        generator = np.random.default_rng(4)
        arrays = [generator.standard_normal((SQUARE, SQUARE), np.float32) for _ in range(3)]
        self.left, self.right, self.out = arrays

    def steps(self, count: int) -> None:
        """Run the product so many times."""
        for _ in range(count):
            np.dot(self.left, self.right, self.out)


class Copy(Timed):
    """Copying as many bytes as an update moves, in as much memory as it uses.

    Parameters
    ----------
    weights : how many there are.
    states : arrays of the optimizer beside weight and gradient.
    words : words that the update reads and writes per weight.
    threads : among how many the copy is shared.
    """

    def __init__(self, weights: int, states: int, words: int, threads: int) -> None:
        arrays = 2 + states
        half = max(1, weights * arrays // 2)
        source, target = np.ones(half, np.float32), np.zeros(half, np.float32)
        ends = [half * part // threads for part in range(threads + 1)]
        self.parts = [(target[a:b], source[a:b]) for a, b in pairwise(ends)]
        self.scale = words / arrays
        self.pool = ThreadPoolExecutor(threads - 1) if threads > 1 else None

    def steps(self, count: int) -> None:
        """Copy so many times."""
        for _ in range(count):
            others = []
            if self.pool is not None:
                others = [self.pool.submit(np.copyto, *part) for part in self.parts[1:]]
            np.copyto(*self.parts[0])
            for other in others:
                other.result()

    def measure(self, count: int) -> float:
        """Return the seconds of copying the bytes of one update."""
        return super().measure(count) * self.scale


def copy_arguments(task: Task) -> list[tuple[int, int, int, int]]:
    """Return the arguments of `Copy` for a task's update, on one thread and on all."""
    rule, weights = task.rule, task.network.parameters
    counts = sorted({1, usable_cores()})
    return [(weights, rule.states, rule.words, threads) for threads in counts]
