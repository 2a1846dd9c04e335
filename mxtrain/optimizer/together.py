"""What lets an optimizer's parameters be updated together, and several updates be told ahead."""

from __future__ import annotations

from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

from mxtrain.optimizer.base import Optimizer
from mxtrain.optimizer.tracing import rule_of

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array


class Watch:
    """Tells, at the cost of a microsecond, whether an optimizer is as it was."""

    def __init__(self, optimizer: Optimizer | None) -> None:
        self._optimizer = optimizer
        names = [name for name in vars(optimizer) if name != "num_update"] if optimizer else []
        self._read = attrgetter(*names) if names else None
        self._values = self._read(optimizer) if self._read is not None else ()
        self._tables = [dict(table) for table in _tables(optimizer)] if optimizer else []

    def unchanged(self) -> bool:
        """Whether every attribute but `num_update` is the same object, with equal multipliers."""
        optimizer = self._optimizer
        return (
            optimizer is not None
            and self._read is not None
            and len(vars(optimizer)) == len(self._values) + 1
            and all(map(is_, self._read(optimizer), self._values))
            and _tables(optimizer) == self._tables
        )


def counts_in_scalars(optimizer: Optimizer) -> bool:
    """Whether scalars depend on the count of updates."""
    return type(optimizer).scalars is not Optimizer.scalars


def is_pure(optimizer: Optimizer) -> bool:
    """Whether rates and scalars may be asked for before their updates, and once too often."""
    scheduler = optimizer.lr_scheduler
    rates_are = scheduler is None or getattr(scheduler, "is_pure", False)
    return rates_are and (
        not counts_in_scalars(optimizer) or type(optimizer).__module__.startswith("mxtrain.")
    )


def _tables(optimizer: Optimizer) -> list[dict[Any, Any]]:
    """Return what may change in place and decides the multipliers."""
    return [optimizer.lr_mult, optimizer.wd_mult, optimizer.idx2name]


def takes_masters(optimizer: Optimizer, weight: Array) -> bool:
    """Whether a rule over the arena moves float32 masters of these weights, and rounds them last.

    Not where the optimizer takes a look at each parameter: then the updater's order may matter, and
    norms are those of gradients that were converted first.
    """
    return optimizer.has_master(weight) and may_step_together(optimizer)


def may_step_together(optimizer: Optimizer) -> bool:
    """Whether parameters of equal multipliers and counts are one segment in an update."""
    return has_common_scalars(type(optimizer)) and not rule_of(optimizer, decays=True).takes_noise


def has_common_scalars(cls: type[Optimizer]) -> bool:
    """Whether parameters of one rate, decay and count need no look of their own."""
    return (
        cls._get_lr is Optimizer._get_lr
        and cls._get_lrs is Optimizer._get_lrs
        and cls._get_wd is Optimizer._get_wd
        and cls._get_wds is Optimizer._get_wds
        and cls._update_count is Optimizer._update_count
        and cls.layer_scalars is Optimizer.layer_scalars
        and cls.trust_ratio is Optimizer.trust_ratio
    )
