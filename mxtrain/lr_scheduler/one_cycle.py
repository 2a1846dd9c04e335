"""OneCycle: up to the base rate and far down again."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Ge, Gt, Lt

from mxtrain.lr_scheduler.base import LRScheduler, register
from mxtrain.lr_scheduler.checks import check_choice, check_count
from mxtrain.settings import Updates

__all__ = ["OneCycleScheduler"]


@register
class OneCycleScheduler(LRScheduler):
    r"""Let the rate rise to ``base_lr`` and then fall far below where it began.

    .. math::
        \eta_0 = \frac{\text{base\_lr}}{\text{div\_factor}} \qquad
        \eta_T = \frac{\eta_0}{\text{final\_div\_factor}} \qquad
        R = \text{pct\_start} \cdot T

    From :math:`\eta_0` at update 0 the rate rises to ``base_lr`` at update :math:`R`, falls to
    :math:`\eta_T` at :math:`T` = ``max_update`` and stays there. Between two rates
    :math:`a` and :math:`b` it moves, as :math:`x` goes from 0 to 1, along

    .. math::
        \text{cosine: } b + (a - b)\,\frac{1 + \cos \pi x}{2} \qquad
        \text{linear: } a + (b - a)\,x

    The rise is the warm-up, so there are no settings of another one. An assigned ``base_lr`` scales
    the whole cycle.

    Raises
    ------
    CallError : ``max_update`` is not an ``int``.
    ValueError : ``max_update`` below 1, ``pct_start`` not between 0 and 1, a divisor below 1, or an
        unknown ``anneal_strategy``.

    Source: Smith & Topin 2017, "Super-convergence" (arXiv:1708.07120), in the form with one long
    fall that has become usual. Not in MXNet.

    >>> schedule = OneCycleScheduler(
    ...     max_update=10, base_lr=1.0, pct_start=0.2, div_factor=4, anneal_strategy="linear"
    ... )
    >>> [round(schedule(n), 3) for n in (0, 1, 2, 6, 10, 11)]
    [0.25, 0.625, 1.0, 0.5, 0.0, 0.0]
    """

    takes_warmup: ClassVar[bool] = False

    max_update: Annotated[int, Ge(1), Updates(), "update at which the cycle ends"]
    base_lr: Annotated[float, Ge(0), "highest rate"] = 0.01
    pct_start: Annotated[float, Gt(0), Lt(1), "part of the cycle in which the rate rises"] = 0.3
    div_factor: Annotated[float, Ge(1), "highest rate over the first one"] = 25.0
    final_div_factor: Annotated[float, Ge(1), "first rate over the last one"] = 1e4
    anneal_strategy: Annotated[Literal["cosine", "linear"], "shape of rise and fall"] = "cosine"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_count("max_update", self.max_update)
        check_choice("anneal_strategy", self.anneal_strategy, ("cosine", "linear"))

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        first = self.base_lr / self.div_factor
        last = first / self.final_div_factor
        rise = self.pct_start * self.max_update
        if num_update < rise:
            return self._between(first, self.base_lr, num_update / rise)
        if num_update < self.max_update:
            return self._between(self.base_lr, last, (num_update - rise) / (self.max_update - rise))
        return last

    def _between(self, start: float, end: float, part: float) -> float:
        if self.anneal_strategy == "linear":
            return start + (end - start) * part
        return end + (start - end) * (1 + cos(pi * part)) / 2
