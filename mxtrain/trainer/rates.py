"""The learning rates of a run as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mxtrain.trainer.build import make_scheduler

if TYPE_CHECKING:
    from mxtrain.trainer.build import Built

# More changes of the rate than this within an epoch are a curve, shown by its end value only.
MAX_CHANGES = 8


class ShownRates:
    """Tells the rate of any update, from a schedule of its own: asking does not touch the run's.

    Attributes
    ----------
    scheduler : that schedule, None without one.
    """

    def __init__(self, built: Built) -> None:
        self._module = built.module
        self.scheduler: Any = make_scheduler(built)

    def now(self) -> float:
        """Return the rate of the latest update."""
        return self._at(self._module.optimizer.num_update)

    def changes(self, batches: int) -> tuple[tuple[int, float], ...]:
        """Return (update, new rate) for each change within the latest `batches` updates."""
        if self.scheduler is None:
            return ()
        last = self._module.optimizer.num_update
        first = last - batches + 1
        found: list[tuple[int, float]] = []
        before = self._at(max(first - 1, 1))
        for update in range(max(first, 2), last + 1):
            rate = self._at(update)
            if rate != before:
                found.append((update, rate))
                if len(found) > MAX_CHANGES:
                    return ()
            before = rate
        return tuple(found)

    def _at(self, update: int) -> float:
        if self.scheduler is None:
            return float(self._module.optimizer.learning_rate)
        return float(self.scheduler(update))
