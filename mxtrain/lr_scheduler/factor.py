"""Factor: the rate decays at regular intervals."""

from __future__ import annotations

from bisect import bisect_left
from typing import Annotated, Any

from annotated_types import Ge, Le

from mxtrain.lr_scheduler.base import LRScheduler, register
from mxtrain.settings import Updates

__all__ = ["FactorScheduler"]


@register
class FactorScheduler(LRScheduler):
    r"""Multiply the rate by ``factor`` after every ``step`` updates.

    .. math::
        k = \max(0, \lceil n / \text{step} \rceil - 1), \qquad
        \eta_0 = \text{base\_lr}, \qquad
        \eta_{i+1} = \max(\eta_i \cdot \text{factor},\ \text{stop\_factor\_lr}), \qquad
        \eta(n) = \eta_k

    The first ``step`` updates have the initial rate, so the first decay acts at ``step + 1`` (one
    update later than MXNet's documentation says, as in its code). Decays are counted from update
    0, so those that fall into the warm-up are in force at its end. ``stop_factor_lr`` acts at
    decays only, and raises a rate that started below it. The product is formed factor by factor.

    An assigned ``base_lr`` is where the decays start; the linear warm-up still climbs towards the
    ``base_lr`` of construction.

    Raises
    ------
    ValueError : ``step`` below 1 or ``factor`` above 1; else as `LRScheduler`.

    Source: ``mxnet.lr_scheduler.FactorScheduler``, release 1.9.1.
    """

    step: Annotated[float, Ge(1), Updates(), "updates between two decays"]
    factor: Annotated[float, Le(1), "what each decay multiplies the rate by"] = 1
    stop_factor_lr: Annotated[float, "a decay does not go below this rate"] = 1e-8

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._decay = _Decay(self.base_lr, self.step, self.factor, self.stop_factor_lr)

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        given = (self.base_lr, self.step, self.factor, self.stop_factor_lr)
        if self._decay.given != given:
            self._decay = _Decay(*given)
        return self._decay.rate(num_update)


class _Decay:
    """The rates of a FactorScheduler, remembered so that a call does not start from update 0.

    Decay after decay is the reference's order of rounding, for the rate and (with a fractional
    ``step``) for the update it happens at, so no closed form will do. What is remembered follows
    from the four numbers given and never changes an answer: about every `SPACING`-th decay, the
    last one asked for, and the point from which the rate stays the same.
    """

    SPACING = 1024

    def __init__(self, base_lr: float, step: float, factor: float, floor: float) -> None:
        self.given = (base_lr, step, factor, floor)
        self._step, self._factor, self._floor = step, factor, floor
        self._marks: list[tuple[float, float]] = [(0, base_lr)]
        self._last: tuple[float, float] = self._marks[0]
        self._settled: tuple[float, float] | None = None

    def rate(self, num_update: int) -> float:
        """Return the rate in force at `num_update`."""
        if self._settled is not None and num_update > self._settled[0]:
            return self._settled[1]
        count, rate = self._start(num_update)
        while num_update > count + self._step:
            following = max(rate * self._factor, self._floor)
            if following == rate:
                self._settled = (count, rate)
                break
            count, rate = count + self._step, following
            if count - self._marks[-1][0] >= self.SPACING * self._step:
                self._marks.append((count, rate))
        self._last = (count, rate)
        return rate

    def _start(self, num_update: int) -> tuple[float, float]:
        """Return the latest remembered decay (update, rate) that lies before `num_update`."""
        mark = self._marks[max(0, bisect_left(self._marks, (num_update,)) - 1)]
        return self._last if mark[0] < self._last[0] < num_update else mark
