"""`Monitor`: a statistic of every output, parameter and gradient, every few batches."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from mxtrain.executor import Executor


def mean_magnitude(array: np.ndarray[Any, Any]) -> float:
    """Return norm / sqrt(size), the root of the mean square."""
    return float(np.linalg.norm(array)) / sqrt(max(array.size, 1))


class Monitor:
    """Watches executors: ``tic`` before a forward, ``toc`` or ``toc_print`` after.

    Parameters
    ----------
    interval : batches between two looks.
    stat_func : what is computed of an array (root mean square by default).
    pattern : only names that match this regular expression are looked at.
    sort : whether results are sorted by name.
    monitor_all : whether inputs of operators are looked at as well.
    """

    def __init__(
        self,
        interval: int,
        stat_func: Callable[[Any], Any] | None = None,
        pattern: str = ".*",
        sort: bool = False,
        monitor_all: bool = False,
    ) -> None:
        self.interval, self.sort, self.monitor_all = interval, sort, monitor_all
        self.stat_func = stat_func or mean_magnitude
        self.step = 0
        self.activated = False
        self.queue: list[tuple[int, str, Any]] = []
        self.exes: list[Executor] = []
        self._pattern = re.compile(pattern)

    def install(self, exe: Executor) -> None:
        """Watch an executor."""
        exe.set_monitor_callback(self._look, self.monitor_all)
        self.exes.append(exe)

    def _look(self, name: str, array: Any) -> None:
        if self.activated and self._pattern.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def tic(self) -> None:
        """Begin a batch; every `interval`-th is looked at."""
        if self.step % self.interval == 0:
            self.queue = []
            self.activated = True
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """End a batch and return (step, name, statistic as text) of what was seen."""
        if not self.activated:
            return []
        for exe in self.exes:
            for name, array in exe.arg_dict.items():
                self._look(name, array)
            for name, grad in exe.grad_dict.items():
                if grad is not None:
                    self._look(f"{name}_grad", grad)
        self.activated = False
        seen = sorted(self.queue, key=lambda item: item[1]) if self.sort else self.queue
        self.queue = []
        return [(step, name, f"{value}") for step, name, value in seen]

    def toc_print(self) -> None:
        """End a batch and log what was seen."""
        for step, name, value in self.toc():
            logging.info("Batch: %7d %30s %s", step, name, value)
