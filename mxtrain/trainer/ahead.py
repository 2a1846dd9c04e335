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
    from mxtrain.trainer.loss_scale import LossScale
    from mxtrain.trainer.measure import Measure

Array = np.ndarray[Any, Any]

# How long a call may take, and how long a batch is thought to take before one was timed.
CALL_SECONDS, FIRST_GUESS = 0.02, 0.002


class Ahead:
    """Runs full batches in one call, as far as that is possible.

    Parameters
    ----------
    built : the module.
    bound : the plan of a full batch.
    loader : the training rows.
    measure : takes the outputs.
    scale : the factor of the losses; where it is on, gradients are looked at.
    allowed : False where something has to happen between the kernels of a step.
    """

    def __init__(
        self,
        built: Built,
        bound: BoundBatch,
        loader: Loader,
        measure: Measure,
        scale: LossScale,
        allowed: bool,
    ) -> None:
        self._module, self._bound, self._measure = built.module, bound, measure
        self._scale = scale
        # What moves before gradients are looked at can only be put back between batches.
        self._has_averages = scale.is_on and bool(built.module.auxiliary_arrays())
        self._gathered = loader.gathered(bound.data, bound.labels)
        self._backend = backends.get(built.spec.runs_on)
        self._steps: Any = None
        self._rules: list[Any] = []
        self._seconds = FIRST_GUESS  # of a batch
        gathers = all(map(_can_be_gathered, self._gathered))
        allowed = allowed and self._backend.compiles
        self._is_possible = allowed and gathers and not bound.weighs_classes

    def length(self, limit: int) -> int:
        """Return how many batches the next call may take, at most `limit`.

        So few that the caller hears of a stop, and shows progress, soon enough.
        """
        if not self._is_possible:
            return 1
        fitting = int(CALL_SECONDS / self._seconds) + 1
        return max(1, min(limit, self._measure.room(), self._scale.room(), fitting))

    def run(self, batches: Sequence[Batch]) -> Taken:
        """Learn from the first of these batches in one call; return from how many.

        None where it cannot be done so: not everything is compiled, the batch is not a full one, or
        its outputs are not finite and ask for a closer look. Outputs and labels of a batch whose
        gradient is not finite are in the next slots of the measure, which does not count them yet.
        """
        none = Taken(0, False)
        if not self._is_possible or (self._has_averages and not self._scale.can_fall()):
            return none
        size = self._bound.rows
        full = [batch.rows for batch in batches if len(batch.rows) == size and not batch.pad]
        count = min(len(full), self._measure.room(), self._scale.room())
        if not count:
            return none
        updates = self._module.updates_ahead(count)
        if updates is None or not self._prepare([rule for rule, _ in updates]):
            self._is_possible = False
            return none
        count = min([count, *(len(row) for _, row in updates)])
        started = time.perf_counter()
        rows = np.concatenate(full[:count]).astype(np.int64, copy=False).reshape(count, size)
        scalars = [row for _, row in updates]
        before = self._module.random.steps[True]
        self._bound.weigh()
        taken: Taken = self._steps.run(rows, scalars, self._measure.next_slots())
        self._module.updates_made(taken.steps)
        self._module.random.steps[True] = before + taken.steps + taken.overflowed
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
        parts = StepParts(
            size=bound.rows,
            gathered=self._gathered,
            passes=(forward, backward),
            looked_at=looked_at,
            gradients=self._module.flat_gradients() if self._scale.is_on else [],
            rules=rules,
            kept=bound.measured,
            step=self._module.random.steps.of(True),
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
