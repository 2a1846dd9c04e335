"""WarmupStableDecay: one rate for most of the run, and a short decay at its end."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sqrt
from typing import Annotated, Any, Literal

from annotated_types import Ge

from mxtrain.lr_scheduler.base import LRScheduler, register, registry
from mxtrain.lr_scheduler.checks import check_choice, check_count
from mxtrain.settings import Updates

__all__ = ["WarmupStableDecayScheduler"]

HEIGHTS: dict[str, Callable[[float], float]] = {
    "linear": lambda part: 1 - part,
    "cosine": lambda part: (1 + cos(pi * part)) / 2,
    "sqrt": lambda part: 1 - sqrt(part),
}


@registry.alias("wsd")
@register
class WarmupStableDecayScheduler(LRScheduler):
    r"""Warm up, keep the rate, and let it fall to ``final_lr`` in the last ``decay_steps`` updates.

    .. math::
        x = \max\left(0, \frac{n - (T - D)}{D}\right) \qquad
        \eta(n) = \text{final\_lr} + (\text{base\_lr} - \text{final\_lr})\,h(x)

    with :math:`T` = ``max_update``, :math:`D` = ``decay_steps`` and

    .. math::
        \text{linear: } h = 1 - x \qquad
        \text{cosine: } h = \frac{1 + \cos \pi x}{2} \qquad
        \text{sqrt: } h = 1 - \sqrt{x}

    ``final_lr`` after :math:`T`. A run can be made longer without another curve: the weights before
    the decay are those of the longer run.

    An assigned ``base_lr`` is the rate that is kept; the linear warm-up still climbs towards the
    ``base_lr`` of construction.

    Raises
    ------
    CallError : ``max_update`` or ``decay_steps`` is not an ``int``.
    ValueError : one of them is below 1, warm-up and decay together are longer than ``max_update``,
        or ``decay`` is unknown; else as `LRScheduler`.

    Source: Hu and others 2024 (arXiv:2404.06395); the square root: Hägele and others 2024
    (arXiv:2405.18392). Not in MXNet.

    >>> schedule = WarmupStableDecayScheduler(max_update=10, decay_steps=4, base_lr=1.0)
    >>> [schedule(n) for n in (1, 6, 7, 8, 10, 11)]
    [1.0, 1.0, 0.75, 0.5, 0.0, 0]
    """

    max_update: Annotated[int, Ge(1), Updates(), "update at which the rate reaches final_lr"]
    decay_steps: Annotated[int, Ge(1), Updates(), "updates the decay lasts"]
    base_lr: Annotated[float, Ge(0), "rate between warm-up and decay"] = 0.01
    decay: Annotated[Literal["linear", "cosine", "sqrt"], "shape of the decay"] = "linear"
    final_lr: Annotated[float, Ge(0), "rate at max_update and after it"] = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        check_count("max_update", self.max_update)
        check_count("decay_steps", self.decay_steps)
        check_choice("decay", self.decay, tuple(HEIGHTS))
        if self.warmup_steps + self.decay_steps > self.max_update:
            raise ValueError(
                f"warmup_steps={self.warmup_steps} and decay_steps={self.decay_steps} together "
                f"must not exceed max_update={self.max_update}; shorten one or raise max_update"
            )

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        if num_update > self.max_update:
            return self.final_lr
        part = (num_update - self.max_update + self.decay_steps) / self.decay_steps
        if part <= 0:
            return self.base_lr
        return self.final_lr + (self.base_lr - self.final_lr) * HEIGHTS[self.decay](part)
