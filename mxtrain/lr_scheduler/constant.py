"""Constant: one rate, after a warm-up if there is one."""

from __future__ import annotations

from mxtrain.lr_scheduler.base import LRScheduler, register

__all__ = ["ConstantScheduler"]


@register
class ConstantScheduler(LRScheduler):
    r"""Keep the rate at ``base_lr``, after the warm-up.

    .. math::
        \eta(n) = \text{base\_lr}

    An assigned ``base_lr`` is the rate from then on; the linear warm-up still climbs towards the
    ``base_lr`` of construction.

    Raises
    ------
    CallError, ValueError : as `LRScheduler`.

    Source: none; an optimizer without a schedule does the same, without the warm-up. Not in MXNet.

    >>> schedule = ConstantScheduler(base_lr=0.5, warmup_steps=2)
    >>> [schedule(n) for n in (1, 2, 3)]
    [0.25, 0.5, 0.5]
    """

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        return self.base_lr
