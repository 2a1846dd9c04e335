"""The least a step can take on a GPU: its products by cuBLAS, its update's bytes at copy speed.

By CuPy, in memory of the device that mxtrain has no part in.
"""

from __future__ import annotations

from typing import Any

import cupy
import numpy as np
from cases import Task
from floors import products_of
from sides.base import Timed


class OnDevice(Timed):
    """Something whose steps are put into the queue of the device."""

    def run(self) -> None:
        """Put a step into the queue."""
        raise NotImplementedError

    def steps(self, count: int) -> None:
        """Run so many times, and wait for the last."""
        for _ in range(count):
            self.run()
        cupy.cuda.Device().synchronize()

    def facts(self) -> dict[str, Any]:
        """Return what the device is, for a file of results."""
        runtime = cupy.cuda.runtime
        found = runtime.getDeviceProperties(cupy.cuda.Device().id)
        return {
            "device": found["name"].decode(),
            "memory_gib": round(found["totalGlobalMem"] / 2**30),
            "driver": runtime.driverGetVersion(),
            "runtime": runtime.runtimeGetVersion(),
        }


class Products(OnDevice):
    """The matrix products of forward and backward, into memory made beforehand."""

    def __init__(self, task: Task) -> None:
        self.lines = products_of(task, cupy.asarray)

    def run(self) -> None:
        """Put the products of a step into the queue."""
        for left, right, out in self.lines:
            cupy.dot(left, right, out)


class Copy(OnDevice):
    """Copying as many bytes as an update moves, in as much memory as it uses.

    Parameters
    ----------
    weights : how many there are.
    states : arrays of the optimizer beside weight and gradient.
    words : words that the update reads and writes per weight.
    """

    def __init__(self, weights: int, states: int, words: int) -> None:
        arrays = 2 + states
        half = max(1, weights * arrays // 2)
        self.source, self.target = cupy.ones(half, np.float32), cupy.zeros(half, np.float32)
        self.scale = words / arrays

    def run(self) -> None:
        """Put a copy into the queue."""
        cupy.copyto(self.target, self.source)

    def measure(self, count: int) -> float:
        """Return the seconds of copying the bytes of one update."""
        return super().measure(count) * self.scale
