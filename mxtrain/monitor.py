"""`Monitor`: a statistic of every output, parameter and gradient, every few batches."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.sparse import RowSparseNDArray

if TYPE_CHECKING:
    from mxtrain.executor import Executor


def mean_magnitude(array: np.ndarray[Any, Any]) -> float:
    """Return norm / sqrt(size), the root of the mean square."""
    with np.errstate(all="ignore"):  # an overflow is what a monitor is there to show
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
        self._running: list[Executor] = []
        self._pattern = re.compile(pattern)

    def install(self, exe: Executor) -> None:
        """Watch an executor; several may be watched, such as those of a module's batch shapes."""
        exe.set_monitor_callback(partial(self._look_at, exe), self.monitor_all)
        if exe not in self.exes:
            self.exes.append(exe)

    def _look_at(self, exe: Executor, name: str, array: Any) -> None:
        if self.activated:
            if exe not in self._running:
                self._running.append(exe)
            self._look(name, array)

    def _look(self, name: str, array: Any) -> None:
        if self._pattern.match(name):
            self.queue.append((self.step, name, self.stat_func(array)))

    def tic(self) -> None:
        """Begin a batch; every `interval`-th is looked at."""
        if self.step % self.interval == 0:
            self.queue, self._running = [], []
            self.activated = True
        self.step += 1

    def toc(self) -> list[tuple[int, str, str]]:
        """End a batch and return (step, name, statistic as text) of what was seen.

        That is every output the forward made, then arguments, their gradients and auxiliary states
        of the executors that ran (of all, if none did).
        """
        if not self.activated:
            return []
        for exe in self._running or self.exes:
            for name, array in exe.arg_dict.items():
                self._look(name, array)
            for name, grad in exe.grad_dict.items():
                if grad is not None:
                    # The norm of a row-sparse gradient is that of the rows it has.
                    rows = grad.data if isinstance(grad, RowSparseNDArray) else grad
                    self._look(f"{name}_grad", rows)
            for name, array in exe.aux_dict.items():
                self._look(name, array)
        self.activated = False
        seen = sorted(self.queue, key=lambda item: item[1]) if self.sort else self.queue
        self.queue = []
        return [(step, name, f"{value}") for step, name, value in seen]

    def toc_print(self) -> None:
        """End a batch and log what was seen."""
        for step, name, value in self.toc():
            logging.info("Batch: %7d %30s %s", step, name, value)
