"""Exponential: the rate decays smoothly."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from mxtrain.lr_scheduler.base import LRScheduler, register
from mxtrain.settings import Updates

__all__ = ["ExponentialScheduler"]


@register
class ExponentialScheduler(LRScheduler):
    r"""Multiply the rate by ``factor`` every ``step`` updates, a little at each of them.

    .. math::
        \eta(n) = \max(\text{base\_lr} \cdot \text{factor}^{(n - W) / \text{step}},\
        \text{final\_lr})

    for :math:`n \ge W` = ``warmup_steps``. `FactorScheduler` decays in jumps and counts from update
    0; this one decays at every update and begins where the warm-up ends. ``final_lr`` also
    raises a rate that starts below it.

    An assigned ``base_lr`` is where the decay starts; the linear warm-up still climbs towards the
    ``base_lr`` of construction.

    Raises
    ------
    ValueError : ``factor`` not above 0 or above 1, ``step`` below 1; else as `LRScheduler`.

    Source: ``tf.train.exponential_decay`` without its staircase. Not in MXNet.

    >>> schedule = ExponentialScheduler(factor=0.25, step=2, base_lr=0.4)
    >>> [schedule(n) for n in (0, 1, 2, 4)]
    [0.4, 0.2, 0.1, 0.025]
    """

    factor: Annotated[float, Gt(0), Le(1), "what the rate is multiplied by in each step updates"]
    step: Annotated[float, Ge(1), Updates(), "updates in which the rate changes by factor"] = 1
    final_lr: Annotated[float, Ge(0), "the rate does not go below this"] = 0

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        decay: float = self.factor ** ((num_update - self.warmup_steps) / self.step)
        return max(self.base_lr * decay, self.final_lr)
