"""Poly: the rate falls along a power."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt

from mxtrain.lr_scheduler.base import register
from mxtrain.lr_scheduler.curve import Curve
from mxtrain.settings import Updates

__all__ = ["PolyScheduler"]


@register
class PolyScheduler(Curve):
    r"""Let the rate fall to ``final_lr`` along a power of the updates left.

    .. math::
        \eta(n) = \text{final\_lr} + (\text{base\_lr} - \text{final\_lr})
        \left(1 - \frac{n - W}{\text{max\_update} - W}\right)^{\text{pwr}}

    for :math:`W \le n \le` ``max_update``, :math:`W` = ``warmup_steps``; ``final_lr`` after it
    (MXNet returns whatever it computed last, which depends on the calls made).

    An assigned ``base_lr`` has no effect: the curve starts at the ``base_lr`` of construction
    (``base_lr_orig``).

    Raises
    ------
    CallError : ``max_update`` is not an ``int``.
    ValueError : ``max_update`` below 1; else as `LRScheduler`.

    Source: ``mxnet.lr_scheduler.PolyScheduler``, release 1.9.1.

    >>> schedule = PolyScheduler(max_update=4, base_lr=1.0, pwr=2)
    >>> [schedule(n) for n in range(6)]
    [1.0, 0.5625, 0.25, 0.0625, 0.0, 0]
    """

    max_update: Annotated[int, Ge(1), Updates(), "update at which the curve reaches final_lr"]
    base_lr: Annotated[float, Ge(0), "rate at which the curve starts"] = 0.01
    pwr: Annotated[float, Gt(0), "power of the curve; 1 is a straight line"] = 2
    final_lr: Annotated[float, "rate at max_update and after it"] = 0

    @property
    def power(self) -> float:
        """The power of the curve under MXNet's attribute name."""
        return self.pwr

    def height(self, part: float) -> float:
        """Return the height of the curve, from 1 at part 0 to 0 at part 1 of the decay."""
        return float((1 - part) ** self.pwr)
