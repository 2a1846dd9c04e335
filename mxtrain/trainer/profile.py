"""Where the time of a run goes: by phase and by node, beside the least that the machine allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain.backend.numpy import run
from mxtrain.trainer.report import NodeTime, PhaseTime, Profiled

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, Line, NumpyBackend
    from mxtrain.executor.plan import Program, Step

PHASES = ("input", "forward", "backward", "update", "metric", "console", "files", "compile")
OTHER = "other"
# Rows and columns of the product whose speed is the peak, and the most bytes that are copied.
SIDE, MOST_COPIED = 1024, 1 << 27
_TRIES = 5


@dataclass
class _Timed:
    calls: int = 0
    seconds: float = 0.0
    operations: float = 0.0

    def add(self, seconds: float, operations: float = 0.0) -> None:
        self.calls += 1
        self.seconds += seconds
        self.operations += operations


class Profile:
    """Times what it is given to call.

    Batches run one by one, and the lines of a node by themselves: compiled ones as one call for the
    node, where a run without profile may compile several nodes, and several batches, into one.

    Parameters
    ----------
    backend : compiles the lines of a node, where it does.
    """

    def __init__(self, backend: NumpyBackend) -> None:
        self._backend = backend
        self._phases: dict[str, _Timed] = {phase: _Timed() for phase in PHASES}
        self._nodes: dict[tuple[str, str], _Timed] = {}
        # By identity; the step is kept beside its lines so that the identity stays its own.
        self._steps: dict[int, tuple[Step, Sequence[Line], float, list[Array]]] = {}
        self._started = time.perf_counter()

    def begin(self) -> None:
        """Forget what came before: the run begins now."""
        self._phases = {phase: _Timed() for phase in PHASES}
        self._nodes.clear()
        self._started = time.perf_counter()

    def wrap(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same and counts its time for a phase."""

        def timed(*arguments: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*arguments)
            finally:
                self._phases[phase].add(time.perf_counter() - started)

        return timed

    def wrap_methods(self, phase: str, owner: object, *names: str) -> Any:
        """Return an object with these methods of another, their time counted for a phase."""
        return SimpleNamespace(**{name: self.wrap(phase, getattr(owner, name)) for name in names})

    def run(self, program: Program) -> None:
        """Run a program, timing each node."""
        clock = time.perf_counter
        for step in program.steps:
            lines, operations = self._lines(step)
            node = step.node.name if step.node is not None else "gradients"
            started = clock()
            run(lines)
            seconds = clock() - started
            self._phases[step.phase].add(seconds, operations)
            self._nodes.setdefault((node, step.phase), _Timed()).add(seconds, operations)

    def _lines(self, step: Step) -> tuple[Sequence[Line], float]:
        if id(step) not in self._steps:
            lines, kept = self.wrap("compile", self._backend.join)(step.lines)
            self._steps[id(step)] = (step, lines, operations_of(step.lines), kept)
        return self._steps[id(step)][1:3]

    def result(self, update_bytes: int) -> Profiled:
        """Return what was measured since `begin`.

        Parameters
        ----------
        update_bytes : what an update reads and writes.
        """
        seconds = time.perf_counter() - self._started
        product_rate, copy_rate = product_speed(), copy_speed(update_bytes)
        floors = {
            phase: self._phases[phase].operations / product_rate
            for phase in ("forward", "backward")
        }
        floors["update"] = self._phases["update"].calls * update_bytes / copy_rate
        phases = [
            PhaseTime(name, timed.calls, timed.seconds, floors.get(name) or None)
            for name, timed in self._phases.items()
        ]
        rest = seconds - sum(phase.seconds for phase in phases)
        nodes = [
            NodeTime(*key, timed.calls, timed.seconds, timed.operations / product_rate or None)
            for key, timed in self._nodes.items()
        ]
        return Profiled(
            seconds,
            (*phases, PhaseTime(OTHER, 1, max(rest, 0.0))),
            tuple(sorted(nodes, key=lambda node: -node.seconds)),
            product_rate,
            copy_rate,
        )


def operations_of(lines: Sequence[Line]) -> float:
    """Return the multiplications and additions of the matrix products among lines."""
    products = [arguments for kernel, arguments in lines if kernel in (np.dot, np.matmul)]
    return sum((2.0 * left.size * right.shape[-1] for left, right, *_ in products), 0.0)


def product_speed() -> float:
    """Return the operations per second of a large product with as many threads as are allowed."""
    left = np.ones((SIDE, SIDE), np.float32)
    right, out = left.copy(), left.copy()
    return 2.0 * SIDE**3 / _least_time(lambda: np.dot(left, right, out))


def copy_speed(nbytes: int) -> float:
    """Return the bytes read and written per second by a copy that touches so many bytes."""
    count = int(min(max(nbytes, 1 << 12), MOST_COPIED)) // 8
    source = np.ones(count, np.float32)
    target = source.copy()
    return 8.0 * count / _least_time(lambda: np.copyto(target, source))


def _least_time(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_TRIES):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return max(min(times), 1e-9)
