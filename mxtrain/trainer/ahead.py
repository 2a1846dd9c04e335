"""Training on several batches in one compiled call.

Where forward, backward and update of a network are compiled as a whole, what remains of a step in
Python costs a small network more than its arithmetic. Then rows are gathered, the steps run and
the outputs kept by `mxtrain.backend.compiled.driver`; the numbers are the same to the bit.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.backend.numpy import StepParts, Taken

if TYPE_CHECKING:
    from mxtrain.trainer.batches import Batch, Gathered, Loader
    from mxtrain.trainer.bound import BoundBatch
    from mxtrain.trainer.build import Built
    from mxtrain.trainer.gradients import Gradients
    from mxtrain.trainer.measure import Measure

Array = np.ndarray[Any, Any]

# How long a call may take, and how long a batch is thought to take before one was timed.
CALL_SECONDS, FIRST_GUESS = 0.02, 0.002
NONE = Taken(0, False)


class Ahead:
    """Runs full batches in one call, as far as that is possible.

    Parameters
    ----------
    built : the module.
    bound : the plan of a full batch.
    loader : the training rows.
    measure : takes the outputs.
    gradients : their scale, and whether something is done with them between kernels.
    averages : what the backward pass moves beside gradients, with where it was before the batch.
    allowed : False where something has to happen between the kernels of a step.
    """

    def __init__(
        self,
        built: Built,
        bound: BoundBatch,
        loader: Loader,
        measure: Measure,
        gradients: Gradients,
        averages: Sequence[tuple[Array, Array]],
        allowed: bool,
    ) -> None:
        self._module, self._bound, self._measure = built.module, bound, measure
        self._gradients, self._averages = gradients, averages
        is_fixed = gradients.scale is not None and not gradients.scale.is_dynamic
        capacity = measure.room()
        # Of each step, where the averages were before it: an overflow of a fixed scale takes the
        # batch back. That of a dynamic one does so rarely (at 1) that its batches then run singly.
        self._before = [
            bound.empty((capacity, *array.shape), array.dtype)
            for array, _ in (averages if is_fixed else ())
        ]
        self._gathered = loader.gathered(bound.data, bound.labels)
        self._backend = backends.get(built.spec.runs_on)
        self._steps: Any = None
        self._rules: list[Any] = []
        self._seconds = FIRST_GUESS  # of a batch
        gathers = all(map(_can_be_gathered, self._gathered))
        allowed = allowed and gradients.may_run_ahead and self._backend.compiles
        self._is_possible = allowed and gathers and not bound.weighs_classes

    def nbytes(self) -> int:
        """Return the bytes it needs beside what it is given."""
        return sum(int(array.nbytes) for array in self._before)

    def length(self, limit: int) -> int:
        """Return how many batches the next call may take, at most `limit`.

        So few that the caller hears of a stop, and shows progress, soon enough.
        """
        if not self._is_possible:
            return 1
        return max(1, min(limit, self._measure.room(), int(CALL_SECONDS / self._seconds) + 1))

    def run(self, batches: Sequence[Batch]) -> Taken:
        """Learn from the first of these batches in one call; return from how many.

        From none where it cannot be done so: not everything is compiled, the batch is not a full
        one, or its outputs are not finite and ask for a closer look. Where a gradient overflowed,
        its batch is done but for the update: the measure's next slots have its outputs.
        """
        if not self._is_possible:
            return NONE
        size = self._bound.rows
        full = [batch.rows for batch in batches if len(batch.rows) == size and not batch.pad]
        count = self._gradients.room(min(len(full), self._measure.room()))
        may_fail = self._gradients.may_fail
        if not count or (may_fail and len(self._before) < len(self._averages)):
            return NONE
        with self._gradients.scaled_back():
            updates = self._module.updates_ahead(count)
        if updates is None or not self._prepare([rule for rule, _ in updates]):
            self._is_possible = False
            return NONE
        count = min([count, *(len(row) for _, row in updates)])
        started = time.perf_counter()
        rows = np.concatenate(full[:count]).astype(np.int64, copy=False).reshape(count, size)
        scalars = [row for _, row in updates]
        steps_before = self._module.random.steps[True]
        self._bound.scale(self._gradients.factor)
        targets = [*self._measure.next_slots(), *self._before]
        taken: Taken = self._steps.run(rows, scalars, targets)
        if taken.overflowed:
            for (_, before), kept in zip(self._averages, self._before, strict=False):
                np.copyto(before, kept[taken.steps])
        self._module.updates_made(taken.steps)
        self._gradients.updated(taken.steps)
        self._module.random.steps[True] = steps_before + taken.steps + taken.overflowed
        self._measure.took(taken.steps)
        self._seconds = (time.perf_counter() - started) / count
        return taken

    def _prepare(self, rules: list[Any]) -> bool:
        """Make the tables anew where the rules are others than before; False where none can be."""
        if self._steps is not None and all(map(_is, rules, self._rules)):
            return True
        bound = self._bound
        forward, backward = (program.lines for program in bound.programs())
        looked_at = [array for array in bound.looked_at if array.dtype.kind == "f"]
        averages = [array for array, _ in self._averages[: len(self._before)]]
        parts = StepParts(
            size=bound.rows,
            gathered=self._gathered,
            passes=(forward, backward),
            looked_at=looked_at,
            rules=rules,
            kept=[*bound.measured, *averages],
            step=self._module.random.steps.of(True),
            gradients=self._gradients.looked_at(),
        )
        self._steps = self._backend.steps(parts)
        self._rules = rules
        return self._steps is not None


def _is(one: object, other: object) -> bool:
    return one is other


def _can_be_gathered(gathered: Gathered) -> bool:
    source, target, _ = gathered
    same = source.dtype == target.dtype
    bytes_to_floats = (source.dtype, target.dtype) == (np.uint8, np.float32)
    return source.flags.c_contiguous and target.flags.c_contiguous and (same or bytes_to_floats)
