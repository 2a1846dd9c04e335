"""Where the time of a run goes: seconds and calls per node and direction."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mxtrain.executor.plan import Program

Row = tuple[str, str, int, float]


class Profile:
    """Times each step of the programs it is given to run."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str], float] = {}
        self._calls: dict[tuple[str, str], int] = {}

    def run(self, program: Program) -> None:
        """Run a program, timing each node."""
        for step in program.steps:
            started = time.perf_counter()
            for kernel, arguments in step.lines:
                kernel(*arguments)
            name = step.node.name if step.node is not None else "gradients"
            self.add(name, step.phase, time.perf_counter() - started)

    def add(self, name: str, phase: str, seconds: float) -> None:
        """Add one call."""
        key = (name, phase)
        self._seconds[key] = self._seconds.get(key, 0.0) + seconds
        self._calls[key] = self._calls.get(key, 0) + 1

    def rows(self) -> tuple[Row, ...]:
        """Return (name, direction, calls, seconds), the slowest first."""
        ordered = sorted(self._seconds.items(), key=lambda item: -item[1])
        return tuple((name, phase, self._calls[name, phase], s) for (name, phase), s in ordered)
