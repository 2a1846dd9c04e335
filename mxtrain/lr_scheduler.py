r"""Learning-rate schedules: pure functions of the number of updates.

A scheduler is called with ``num_update`` (1 at the first update) and returns the learning rate
for it, computed in Python doubles. A call changes nothing: the same scheduler may be asked for any
update in any order. `LRScheduler.base_lr` may be assigned at any time; what that does is said by
each class.

>>> schedule = FactorScheduler(step=100, factor=0.5, base_lr=0.4)
>>> [schedule(n) for n in (1, 100, 101, 201)]
[0.4, 0.4, 0.2, 0.1]
"""

from __future__ import annotations

from bisect import bisect_left
from math import cos, pi
from typing import Annotated, Any, Literal, TypeVar

from annotated_types import Ge, Gt, Le, MinLen

from mxtrain.errors import CallError
from mxtrain.registry import Registry
from mxtrain.settings import Declared

__all__ = [
    "CosineScheduler",
    "FactorScheduler",
    "LRScheduler",
    "MultiFactorScheduler",
    "PolyScheduler",
    "create",
    "register",
    "registry",
]


class LRScheduler(Declared):
    r"""Base of all schedules: the base rate and the warm-up.

    For ``num_update < warmup_steps`` every scheduler returns

    .. math::
        \text{linear: } b + (\eta - b)\,\frac{n}{W} \qquad \text{constant: } b

    with :math:`n` = ``num_update``, :math:`W` = ``warmup_steps``, :math:`b` = ``warmup_begin_lr``
    and :math:`\eta` = ``warmup_final_lr``, the ``base_lr`` of construction. A subclass defines
    ``__call__`` and asks `get_warmup_lr` while the warm-up lasts.

    Raises
    ------
    CallError : ``warmup_steps`` is not an ``int``.
    ValueError : ``warmup_begin_lr`` above ``base_lr`` (with or without warm-up), negative
        ``warmup_steps``, or an unknown ``warmup_mode``.

    Source: ``mxnet.lr_scheduler.LRScheduler``, release 1.9.1.
    """

    base_lr: Annotated[float, Ge(0), "rate before any decay"] = 0.01
    warmup_steps: Annotated[int, Ge(0), "updates the warm-up lasts"] = 0
    warmup_begin_lr: Annotated[float, Ge(0), "rate at which the warm-up begins"] = 0
    warmup_mode: Annotated[
        Literal["linear", "constant"], "rise to base_lr, or stay at warmup_begin_lr"
    ] = "linear"

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.__dict__["_own_fields"]:
            cls._positional = tuple(cls._fields)  # MXNet takes the inherited ones by position too

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.warmup_final_lr = self.base_lr
        self._check_warmup()

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        raise NotImplementedError(
            f"{type(self).__name__} has no schedule: define __call__(self, num_update), or use one "
            f"of {', '.join(registry.names())}"
        )

    def get_warmup_lr(self, num_update: int) -> float:
        """Return the rate of the warm-up at `num_update` (CallError once the warm-up is over)."""
        if num_update >= self.warmup_steps:
            raise CallError(
                f"get_warmup_lr: num_update must be below warmup_steps={self.warmup_steps}, "
                f"got {num_update}; call the scheduler itself instead"
            )
        if self.warmup_mode == "constant":
            return self.warmup_begin_lr
        rise = (self.warmup_final_lr - self.warmup_begin_lr) * float(num_update)
        return self.warmup_begin_lr + rise / float(self.warmup_steps)

    def _check_warmup(self) -> None:
        if not isinstance(self.warmup_steps, int):
            raise CallError(
                f"warmup_steps must be an int, got {self.warmup_steps!r} of type "
                f"{type(self.warmup_steps).__name__}; give a whole number of updates"
            )
        if self.warmup_begin_lr > self.base_lr:
            raise ValueError(
                f"warmup_begin_lr must not exceed base_lr={self.base_lr}, got "
                f"{self.warmup_begin_lr}; lower it or raise base_lr"
            )
        if self.warmup_steps < 0:
            raise ValueError(
                f"warmup_steps must be at least 0, got {self.warmup_steps}; 0 means no warm-up"
            )
        if self.warmup_mode not in ("linear", "constant"):
            raise ValueError(
                f"warmup_mode must be 'linear' or 'constant', got {self.warmup_mode!r}; "
                "choose one of the two"
            )


registry: Registry[LRScheduler] = Registry("lr_scheduler")
create = registry.create

C = TypeVar("C", bound=type[Any])


def register(cls: C) -> C:
    """Enter a scheduler class under its lower-cased name, with and without ``scheduler``."""
    registry.register(cls)
    short = cls.__name__.lower().removesuffix("scheduler")
    if short and short != cls.__name__.lower():
        registry.alias(short)(cls)
    return cls


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

    step: Annotated[float, Ge(1), "updates between two decays"]
    factor: Annotated[float, Le(1), "what each decay multiplies the rate by"] = 1
    stop_factor_lr: Annotated[float, "a decay does not go below this rate"] = 1e-8

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.step < 1:
            raise ValueError(f"step must be at least 1 update, got {self.step}; raise it")
        _check_factor(self.factor)
        self._decay = _Decay(self.base_lr, self.step, self.factor, self.stop_factor_lr)

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        given = (self.base_lr, self.step, self.factor, self.stop_factor_lr)
        if self._decay.given != given:
            self._decay = _Decay(*given)
        return self._decay.rate(num_update)


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

    step: Annotated[list[int], MinLen(1), "updates after which the rate decays, increasing"]
    factor: Annotated[float, Le(1), "what each decay multiplies the rate by"] = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _check_steps(self.step)
        _check_factor(self.factor)
        self.step = list(self.step)

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        if num_update < self.warmup_steps:
            return self.get_warmup_lr(num_update)
        rate = self.base_lr
        for _ in range(bisect_left(self.step, num_update)):
            rate *= self.factor
        return rate


class _Curve(LRScheduler):
    """What Poly and Cosine share: a curve from ``base_lr`` to ``final_lr`` at ``max_update``."""

    max_update: Annotated[int, Ge(1), "update at which the curve reaches final_lr"]
    final_lr: Annotated[float, "rate at max_update and after it"] = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(self.max_update, int):
            raise CallError(
                f"max_update must be an int, got {self.max_update!r} of type "
                f"{type(self.max_update).__name__}; give a whole number of updates"
            )
        if self.max_update < 1:
            raise ValueError(f"max_update must be at least 1, got {self.max_update}; raise it")
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
        return self.final_lr + (self.base_lr_orig - self.final_lr) * self._height(part)

    def _height(self, part: float) -> float:
        """Return the height of the curve, from 1 at part 0 to 0 at part 1 of the decay."""
        raise NotImplementedError


@register
class PolyScheduler(_Curve):
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

    max_update: Annotated[int, Ge(1), "update at which the curve reaches final_lr"]
    base_lr: Annotated[float, Ge(0), "rate at which the curve starts"] = 0.01
    pwr: Annotated[float, Gt(0), "power of the curve; 1 is a straight line"] = 2
    final_lr: Annotated[float, "rate at max_update and after it"] = 0

    @property
    def power(self) -> float:
        """The power of the curve under MXNet's attribute name."""
        return self.pwr

    def _height(self, part: float) -> float:
        return float((1 - part) ** self.pwr)


@register
class CosineScheduler(_Curve):
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

    max_update: Annotated[int, Ge(1), "update at which the curve reaches final_lr"]
    base_lr: Annotated[float, Ge(0), "rate at which the curve starts"] = 0.01
    final_lr: Annotated[float, "rate at max_update and after it"] = 0

    def _height(self, part: float) -> float:
        return (1 + cos(pi * part)) / 2


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


def _check_factor(factor: float) -> None:
    if factor > 1.0:
        raise ValueError(
            f"factor must not exceed 1, for the rate would grow without bound, got {factor}"
        )


def _check_steps(steps: Any) -> None:
    if not isinstance(steps, list) or not steps:
        raise CallError(f"step must be a list of at least one update number, got {steps!r}")
    for number, step in enumerate(steps):
        if number and step <= steps[number - 1]:
            raise ValueError(f"step must increase from entry to entry, got {steps}; sort it")
        if step < 1:
            raise ValueError(f"every entry of step must be at least 1, got {step} in {steps}")
