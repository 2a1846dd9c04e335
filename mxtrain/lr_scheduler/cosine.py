"""Cosine: the rate falls along half a cosine wave."""

from __future__ import annotations

from math import cos, pi
from typing import Annotated

from annotated_types import Ge

from mxtrain.lr_scheduler.base import register
from mxtrain.lr_scheduler.curve import Curve
from mxtrain.settings import Updates

__all__ = ["CosineScheduler"]


@register
class CosineScheduler(Curve):
    r"""Let the rate fall to ``final_lr`` along half a cosine wave.

    .. math::
        \eta(n) = \text{final\_lr} + (\text{base\_lr} - \text{final\_lr})\,
        \frac{1}{2}\left(1 + \cos\frac{\pi\,(n - W)}{\text{max\_update} - W}\right)

    for :math:`W \le n \le` ``max_update``, :math:`W` = ``warmup_steps``; ``final_lr`` after it
    (MXNet returns whatever it computed last, which depends on the calls made).

    An assigned ``base_lr`` has no effect: the curve starts at the ``base_lr`` of construction
    (``base_lr_orig``).

    Raises
    ------
    CallError : ``max_update`` is not an ``int``.
    ValueError : ``max_update`` below 1; else as `LRScheduler`.

    Source: ``mxnet.lr_scheduler.CosineScheduler``, release 1.9.1, after Loshchilov & Hutter 2016
    (arXiv:1608.03983) without restarts.

    >>> schedule = CosineScheduler(max_update=100, base_lr=1.0)
    >>> [round(schedule(n), 6) for n in (0, 50, 100, 101)]
    [1.0, 0.5, 0.0, 0]
    """

    max_update: Annotated[int, Ge(1), Updates(), "update at which the curve reaches final_lr"]
    base_lr: Annotated[float, Ge(0), "rate at which the curve starts"] = 0.01
    final_lr: Annotated[float, "rate at max_update and after it"] = 0

    def height(self, part: float) -> float:
        """Return the height of the curve, from 1 at part 0 to 0 at part 1 of the decay."""
        return (1 + cos(pi * part)) / 2
