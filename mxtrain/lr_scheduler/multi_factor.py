"""MultiFactor: the rate decays at listed updates."""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Any

from annotated_types import Le, MinLen

from mxtrain.lr_scheduler.base import LRScheduler, register
from mxtrain.lr_scheduler.checks import check_steps
from mxtrain.settings import Updates

__all__ = ["MultiFactorScheduler"]


@register
class MultiFactorScheduler(LRScheduler):
    r"""Multiply the rate by ``factor`` after each of the updates listed in ``step``.

    .. math::
        \eta(n) = \text{base\_lr} \cdot \text{factor}^{k}, \qquad
        k = \#\{\,i : n > \text{step}_i\,\}

    The new rate starts at ``step[i] + 1`` (MXNet's documentation says ``step[i]``; its code does
    this). Steps are counted from update 0, so those inside the warm-up are in force at its end.
    The product is formed factor by factor.

    An assigned ``base_lr`` is where the decays start; the linear warm-up still climbs towards the
    ``base_lr`` of construction.

    Raises
    ------
    CallError : ``step`` is not a list, or empty.
    ValueError : ``step`` does not increase strictly or has an entry below 1, or ``factor`` is
        above 1; else as `LRScheduler`.

    Source: ``mxnet.lr_scheduler.MultiFactorScheduler``, release 1.9.1.

    >>> schedule = MultiFactorScheduler(step=[10, 30], factor=0.5, base_lr=0.4)
    >>> [schedule(n) for n in (10, 11, 30, 31)]
    [0.4, 0.2, 0.2, 0.1]
    """

    step: Annotated[
        list[int], MinLen(1), Updates(), "updates after which the rate decays, increasing"
    ]
    factor: Annotated[float, Le(1), "what each decay multiplies the rate by"] = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_steps(self.step)
        self.step = list(self.step)

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        rate = self.base_lr
        for _ in range(bisect_left(self.step, num_update)):
            rate *= self.factor
        return rate
