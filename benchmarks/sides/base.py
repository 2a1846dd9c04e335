"""What is measured: something that takes steps, in a process of its own."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import Any


class Timed(ABC):
    """Something with a repeated step.

    `stride` is the smallest number of steps it can take at once.
    """

    stride: int = 1

    @classmethod
    def refusal(cls, *arguments: Any) -> str:
        """Return, in words, why it cannot be made of these arguments, or nothing."""
        return ""

    @abstractmethod
    def steps(self, count: int) -> None:
        """Take steps."""

    def smallest(self) -> int:
        """Return `stride`."""
        return self.stride

    def measure(self, count: int) -> float:
        """Take steps and return the seconds of one."""
        begin = time.perf_counter()
        self.steps(count)
        return (time.perf_counter() - begin) / count


class Side(Timed):
    """A library that trains a `Task`. The constructor takes the task.

    A step copies a batch to where the network reads it, runs forward and backward and updates the
    weights. Batches come round in order, from the first.
    """

    @abstractmethod
    def losses(self, count: int) -> list[float]:
        """Take steps and return the loss of each before its update."""
