"""What schedules share that fall along a curve from one update to another."""

from __future__ import annotations

from typing import Annotated, Any

from annotated_types import Ge

from mxtrain.lr_scheduler.base import LRScheduler
from mxtrain.lr_scheduler.checks import check_count
from mxtrain.settings import Updates


class Curve(LRScheduler):
    """What Poly and Cosine share: a curve from ``base_lr`` to ``final_lr`` at ``max_update``."""

    max_update: Annotated[int, Ge(1), Updates(), "update at which the curve reaches final_lr"]
    final_lr: Annotated[float, "rate at max_update and after it"] = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_count("max_update", self.max_update)
        self.base_lr_orig = self.base_lr
        self.max_steps = self.max_update - self.warmup_steps

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`.

        ZeroDivisionError at ``num_update == max_update`` if the warm-up lasts until then.
        """
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update > self.max_update:
            return self.final_lr
        if self.max_steps == 0:
            raise ZeroDivisionError(
                f"{type(self).__name__}: max_update={self.max_update} must exceed "
                f"warmup_steps={self.warmup_steps}, for no update is left for the decay; "
                "raise max_update or shorten the warm-up"
            )
        part = float(num_update - self.warmup_steps) / float(self.max_steps)
        return self.final_lr + (self.base_lr_orig - self.final_lr) * self.height(part)

    def height(self, part: float) -> float:
        """Return the height of the curve, from 1 at part 0 to 0 at part 1 of the decay."""
        raise NotImplementedError
