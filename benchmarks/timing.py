"""Measuring several things in turns, and what is said of the rounds."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from workers import Worker

# Worker threads of OpenBLAS and OpenMP spin for a while after their last task; the next side to be
# measured should not share its core with them.
SETTLE_SECONDS = 0.05


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the rounds."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return those of some values."""
        ordered = sorted(values)
        if len(ordered) == 1:
            return cls(ordered[0], ordered[0], ordered[0])
        low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
        return cls(median, low, high)


def median_of(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def ratio(over: Sequence[float], under: Sequence[float]) -> Spread:
    """Return what the ratio of two things was, round by round."""
    return Spread.of(a / b for a, b in zip(over, under, strict=True))


@dataclass
class Contender:
    """Something that is measured, how many of its steps make a block, and the rounds.

    `seconds` are those of a step, one value per round.
    """

    key: str
    worker: Worker
    count: int = 0
    seconds: list[float] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def calibrate(self, block: float) -> None:
        """Choose the number of steps that lasts about `block` seconds, after a first one."""
        stride = self.worker.call("smallest")
        self.worker.call("measure", stride)  # compiles, or makes what is made once
        took = self.worker.call("measure", stride)
        self.count = stride * max(1, math.ceil(block / (took * stride)))

    def time_once(self) -> None:
        """Measure a block, after a short warm-up."""
        time.sleep(SETTLE_SECONDS)
        stride = self.worker.call("smallest")
        warm_up = stride * (self.count // stride // 8)
        if warm_up:
            self.worker.call("measure", warm_up)
        self.seconds.append(self.worker.call("measure", self.count))


def in_turns(contenders: Sequence[Contender], rounds: int, block: float) -> None:
    """Measure every contender once per round; the order turns round from one to the next."""
    for contender in contenders:
        contender.calibrate(block)
    for number in range(rounds):
        for contender in contenders[:: -1 if number % 2 else 1]:
            contender.time_once()
