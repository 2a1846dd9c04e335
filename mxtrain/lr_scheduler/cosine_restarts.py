"""CosineRestarts: half cosine waves one after the other."""

from __future__ import annotations

from math import cos, log, log1p, pi
from typing import Annotated, Any

from annotated_types import Ge, Gt, Le

from mxtrain.lr_scheduler.base import LRScheduler, register
from mxtrain.lr_scheduler.checks import check_count
from mxtrain.settings import Updates

__all__ = ["CosineRestartsScheduler"]


@register
class CosineRestartsScheduler(LRScheduler):
    r"""Let the rate fall along half a cosine wave, again and again.

    .. math::
        T_i = \text{period} \cdot \text{period\_mult}^i \qquad
        P_i = \text{base\_lr} \cdot \text{peak\_decay}^i \qquad
        \eta(n) = \text{final\_lr} + (P_i - \text{final\_lr})\,
        \frac{1}{2}\left(1 + \cos\frac{\pi\,t}{T_i}\right)

    where period :math:`i` is the one that update :math:`n` lies in and :math:`t` the updates since
    its start. The first one starts at :math:`W` = ``warmup_steps``; it never ends: a run is as long
    as whole periods for a low last rate. Peaks are not lower than ``final_lr``.

    An assigned ``base_lr`` is the first peak; the linear warm-up still climbs towards the
    ``base_lr`` of construction.

    Raises
    ------
    CallError : ``period`` is not an ``int``.
    ValueError : ``period`` or ``period_mult`` below 1, or ``peak_decay`` not above 0 or above 1;
        else as `LRScheduler`.

    Source: Loshchilov & Hutter 2016, "SGDR" (arXiv:1608.03983), where peaks do not decay. Not in
    MXNet.

    >>> schedule = CosineRestartsScheduler(period=2, base_lr=1.0, period_mult=2, peak_decay=0.5)
    >>> [round(schedule(n), 4) for n in range(8)]
    [1.0, 0.5, 0.5, 0.4268, 0.25, 0.0732, 0.25, 0.2405]
    """

    period: Annotated[int, Ge(1), Updates(), "updates in the first period"]
    base_lr: Annotated[float, Ge(0), "rate at the start of the first period"] = 0.01
    period_mult: Annotated[float, Ge(1), "length of a period over that of the one before"] = 1
    peak_decay: Annotated[float, Gt(0), Le(1), "first rate of a period over the one before"] = 1
    final_lr: Annotated[float, Ge(0), "rate at the end of every period"] = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_count("period", self.period)

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        number, since, length = self._place(num_update - self.warmup_steps)
        peak = max(self.base_lr * self.peak_decay**number, self.final_lr)
        return self.final_lr + (peak - self.final_lr) * (1 + cos(pi * since / length)) / 2

    def _place(self, updates: int) -> tuple[int, float, float]:
        """Return the number of a period, the updates since its start, and its length."""
        if self.period_mult == 1:
            return updates // self.period, updates % self.period, self.period
        growth = self.period_mult - 1
        number = int(log1p(updates * growth / self.period) / log(self.period_mult))
        # The logarithms may miss by one at the start of a period.
        while self._start(number) > updates:
            number -= 1
        while self._start(number + 1) <= updates:
            number += 1
        start = self._start(number)
        return number, updates - start, self._start(number + 1) - start

    def _start(self, number: int) -> float:
        """Return the update, counted from the warm-up's end, at which a period starts."""
        return self.period * (self.period_mult**number - 1) / (self.period_mult - 1)
