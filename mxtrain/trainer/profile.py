"""Where the time of a run goes: seconds and calls per kernel of each node."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mxtrain.executor.plan import Program

Row = tuple[str, str, int, float]


class Profile:
    """Times each kernel of the programs it is given to run."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], float] = {}
        self._calls: dict[tuple[str, str], int] = {}

    def run(self, program: Program) -> None:
        """Run a program, timing each kernel."""
        clock = time.perf_counter
        for step in program.steps:
            node = step.node.name if step.node is not None else "gradients"
            for kernel, arguments in step.lines:
                started = clock()
                kernel(*arguments)
                self.add(node, f"{step.phase} {kernel_name(kernel)}", clock() - started)

    def call(self, node: str, kernel: str, function: Callable[[], None]) -> None:
        """Time something that is no kernel."""
        started = time.perf_counter()
        function()
        self.add(node, kernel, time.perf_counter() - started)

    def add(self, node: str, kernel: str, seconds: float) -> None:
        """Add one call."""
        key = (node, kernel)
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds
        self._calls[key] = self._calls.get(key, 0) + 1

    def rows(self) -> tuple[Row, ...]:
        """Return (node, kernel, calls, seconds), the slowest first."""
        ordered = sorted(self._seconds.items(), key=lambda item: -item[1])
        return tuple((*key, self._calls[key], seconds) for key, seconds in ordered)


def kernel_name(kernel: Any) -> str:
    """Return what a kernel is called.

    >>> import numpy
    >>> kernel_name(numpy.add), kernel_name(numpy.add.reduce), kernel_name(numpy.copyto)
    ('add', 'add.reduce', 'copyto')
    """
    name: str = getattr(kernel, "__name__", type(kernel).__name__)
    owner = getattr(getattr(kernel, "__self__", None), "__name__", None)
    return f"{owner}.{name}" if owner and not owner.startswith("numpy") else name
