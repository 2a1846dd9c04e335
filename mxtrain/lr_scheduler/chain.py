"""Chain: schedules one after the other."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, MinLen

from mxtrain.errors import CallError
from mxtrain.lr_scheduler.base import LRScheduler, register, registry
from mxtrain.lr_scheduler.checks import check_count
from mxtrain.settings import Registered, Updates, settings

__all__ = ["ChainScheduler"]


@register
class ChainScheduler(LRScheduler):
    r"""Follow one schedule for some updates, then the next.

    .. math::
        \eta(n) = \eta_i(n - N_i) \quad for \; N_i < n \le N_{i+1} \qquad
        N_i = u_1 + ... + u_{i-1}

    with the schedules :math:`\eta_i` and the numbers :math:`u_i` of ``updates``. Each counts its
    own updates from 1. ``updates`` has a number for every schedule, or for all but the last, which
    then goes on; with a number for the last one too, the rate stays afterwards what it is at its
    end.

    A schedule is a callable such as an `LRScheduler`, a registered name, or a mapping with ``name``
    and settings. Those given by name start from the ``base_lr`` of the chain, also from one
    assigned later, unless they have one of their own; the others keep theirs. A
    warm-up belongs to the first schedule.

    Raises
    ------
    CallError : ``schedules`` or ``updates`` is not a list, or a number in it is not an ``int``.
    TypeError : a schedule is none of the three, or has wrong settings.
    ValueError : a number of updates is below 1, their number does not fit, or a name is unknown.

    Source: none; chains of schedules are common property. Not in MXNet.

    >>> schedule = ChainScheduler(
    ...     schedules=["constant", {"name": "poly", "max_update": 4, "pwr": 1}],
    ...     updates=[2],
    ...     base_lr=1.0,
    ... )
    >>> [schedule(n) for n in range(1, 8)]
    [1.0, 1.0, 0.75, 0.5, 0.25, 0.0, 0.0]
    """

    takes_warmup: ClassVar[bool] = False

    schedules: Annotated[
        list[Any], MinLen(1), Registered(registry), "schedules in their order, by name or mapping"
    ]
    updates: Annotated[
        list[int], Ge(1), Updates(), "how many updates each lasts; the last may be left out"
    ]
    base_lr: Annotated[float, Ge(0), "rate of the schedules given without one"] = 0.01

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._check_lists()
        self.schedules = list(self.schedules)
        self._made = [self._make(given) for given in self.schedules]
        self._followers = [
            made for made, given in zip(self._made, self.schedules, strict=True) if _follows(given)
        ]
        self._ends = list(accumulate(self.updates))

    def _check_lists(self) -> None:
        for name in ("schedules", "updates"):
            value = getattr(self, name)
            if not isinstance(value, list | tuple):
                raise CallError(f"{name} must be a list, got {value!r:.80}")
        if not self.schedules:
            raise ValueError("schedules must have at least one schedule, got none")
        for number, count in enumerate(self.updates):
            check_count(f"updates[{number}]", count)
        if not len(self.schedules) - 1 <= len(self.updates) <= len(self.schedules):
            raise ValueError(
                f"updates must have a number for each of the {len(self.schedules)} schedules, or "
                f"for all but the last, got {len(self.updates)}"
            )

    def _make(self, given: Any) -> Any:
        given = {"name": given} if isinstance(given, str) else given
        if not isinstance(given, Mapping):
            if callable(given):
                return given
            raise TypeError(
                f"a schedule of a chain is a scheduler, a name or a mapping, got {given!r:.80}"
            )
        if "name" not in given:
            raise TypeError(f"a schedule of a chain needs a name, got {dict(given)!r:.80}")
        arguments = {key: value for key, value in given.items() if key != "name"}
        if _follows(given):
            arguments["base_lr"] = self.base_lr
        return registry.create(given["name"], **arguments)

    @property
    def is_pure(self) -> bool:
        """Whether every schedule of the chain is."""
        return all(getattr(schedule, "is_pure", False) for schedule in self._made)

    def __call__(self, num_update: int) -> float:
        """Return the learning rate of update number `num_update`."""
        for schedule in self._followers:
            schedule.base_lr = self.base_lr
        if len(self._ends) == len(self._made):
            num_update = min(num_update, self._ends[-1])
        number = bisect_left(self._ends, num_update)
        before = self._ends[number - 1] if number else 0
        return float(self._made[number](num_update - before))


def _follows(given: Any) -> bool:
    """Whether a schedule's rate is the chain's: it is given by name, and without its own."""
    if isinstance(given, str):
        given = {"name": given}
    if not isinstance(given, Mapping) or "base_lr" in given:
        return False
    return any(setting.name == "base_lr" for setting in settings(registry.get(given["name"])))
