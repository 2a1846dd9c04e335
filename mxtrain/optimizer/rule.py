"""Running an optimizer's formula over the arena.

An update has a prologue in Python doubles (count, rate, decay and the optimizer's scalars, once per
parameter in index order, giving a row of scalars each) and the compiled formula. Parameters that
lie side by side and have equal rows are one segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.optimizer import subnormals
from mxtrain.optimizer.base import Optimizer, aggregation_size
from mxtrain.optimizer.states import NOISE
from mxtrain.optimizer.tracing import (
    APPLY_STEP,
    STEP,
    Layer,
    Structure,
    layer_row,
    norm,
    require_states,
    rule_of,
    structure_of,
)

if TYPE_CHECKING:
    from mxtrain.backend.numpy import Array, Rounded, RunnableRule

Bound = tuple["RunnableRule", tuple[str, ...]]


@dataclass(frozen=True)
class Slot:
    """Where one parameter lies in the flat arrays of an arena."""

    index: int
    start: int
    stop: int


class BoundRule:
    """An optimizer's rule over one dtype of an arena.

    Parameters
    ----------
    slots : the parameters that are updated, in arena order.
    weight, grad : the flat buffers.
    backend : where the formula runs.

    Attributes
    ----------
    states : flat buffers of the same layout, by state name.
    master : for float16 weights under `multi_precision` their float32 values, which are updated
        in their stead and then rounded. They are taken from the weights in the first update.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        slots: Sequence[Slot],
        weight: Array,
        grad: Array,
        backend: str | None = None,
    ) -> None:
        self.optimizer, self.slots = optimizer, tuple(slots)
        self.weight, self.grad = weight, grad
        self._backend = backends.get(backend)
        rule = rule_of(optimizer, decays=True)
        self.master: Array | None = None
        if optimizer.has_master(weight):
            self.master = self._backend.zeros(weight.shape, np.dtype(np.float32))
            self.master.fill(np.nan)  # not begun, unless stored states are loaded
        self._updated = weight if self.master is None else self.master
        self.states = {name: self._like_weight() for name in rule.states}
        self._copies = [name for name in optimizer.copies_of_weight if name in self.states]
        for name in self._copies:
            self.states[name].fill(np.nan)  # not begun, unless stored states are loaded
        averages = [self.states[name] for name in self.states if name not in self._copies]
        self._sweeper = subnormals.Sweeper(averages)
        scratch = [name for name in (NOISE, STEP) if name in rule.arrays]
        self._scratch = {name: self._like_weight() for name in scratch}
        self._by_index = sorted(self.slots, key=lambda slot: slot.index)
        self._segments: dict[tuple[int, int, Structure], Bound] = {}
        self._appliers: dict[Slot, RunnableRule] = {}
        self._may_step_together = has_common_scalars(type(optimizer)) and not self._scratch
        self._indices = [slot.index for slot in self._by_index]
        self._groups: list[Group] = []
        self._watch = Watch(None)

    def _like_weight(self) -> Array:
        return self._backend.zeros(self._updated.shape, self._updated.dtype)

    def state_of(self, slot: Slot, shape: tuple[int, ...]) -> Any:
        """Return the states of one parameter as views, in MXNet's form."""
        views = {n: s[slot.start : slot.stop].reshape(shape) for n, s in self.states.items()}
        state = self.optimizer.pack_states(views)
        if self.master is None:
            return state
        master = self.master[slot.start : slot.stop].reshape(shape)
        return self.optimizer.pack_master(state, master)

    def state_bytes(self) -> int:
        """Return the bytes of all states, masters included."""
        masters = [] if self.master is None else [self.master]
        return sum(int(array.nbytes) for array in (*self.states.values(), *masters))

    def update_bytes(self) -> int:
        """Return the bytes that an update reads and writes."""
        # The gradient is read; a weight is read and written, or only written where a master is.
        passes = 3 if self.master is None else 2
        return passes * int(self.weight.nbytes) + 2 * self.state_bytes()

    def scratch_bytes(self) -> int:
        """Return the bytes it needs beside the states, as far as they have been needed."""
        runnable = [*(segment for segment, _ in self._segments.values()), *self._appliers.values()]
        own = sum(int(array.nbytes) for array in self._scratch.values())
        return own + self._sweeper.nbytes + sum(one.nbytes for one in runnable)

    def step(self) -> None:
        """Update every parameter once."""
        self._begin_states()
        count = self._common_count()
        if count is not None:
            self._step_together(count + 1)
        else:
            with np.errstate(all="ignore"):
                self._step_one_by_one()
        self._sweep_if_due()

    def _sweep_if_due(self) -> None:
        if subnormals.are_due(self.optimizer.num_update):
            self._sweeper.sweep()

    def _common_count(self) -> int | None:
        """Return how often every parameter was updated, None where they differ in any way."""
        optimizer = self.optimizer
        if not self._may_step_together or optimizer.param_dict:
            return None
        begin, counts = optimizer.begin_num_update, optimizer._index_update_count
        found = list(map(counts.get, self._indices, repeat(begin)))
        return found[0] if found == found[:1] * len(found) else None

    def _begin_states(self) -> None:
        """Let copies of the weight begin, in the first update after they were made."""
        copies = [] if self.master is None else [(self.master, self.weight)]
        copies += [(self.states[name], self._updated) for name in self._copies]
        for copy, source in copies:
            for slot in self.slots:
                part = slice(slot.start, slot.stop)
                if np.isnan(copy[part][:1]).all():
                    np.copyto(copy[part], source[part])

    # -- all parameters together -------------------------------------------------------------

    def _step_together(self, t: int) -> None:
        """All counts agree, so parameters of equal multipliers have equal rows."""
        self._count(t)
        if not self._watch.unchanged():
            self._regroup()
        rate = self.optimizer._global_lr()
        for group in self._groups:
            group.segment.run(self._row(group, rate, t))

    def _count(self, t: int) -> None:
        optimizer = self.optimizer
        optimizer._index_update_count.update(dict.fromkeys(self._indices, t))
        if t > optimizer.num_update:
            optimizer.num_update = t

    def _row(self, group: Group, rate: float, t: int) -> tuple[float, ...]:
        """Return the scalars of a group in update `t`, at this rate."""
        optimizer = self.optimizer
        lr, wd = rate * group.lr_mult, optimizer.wd * group.wd_mult
        values = group.settings | {"lr": lr, "wd": wd} | optimizer.scalars(lr, wd, t)
        return tuple([float(values[name]) for name in group.names])

    # -- several updates at once -------------------------------------------------------------

    def ahead(self, count: int) -> list[tuple[RunnableRule, Array]] | None:
        """Return each segment with the scalars of the next updates, (updates, scalars).

        `count` updates, or those up to the next look for subnormal numbers. None where they cannot
        be told beforehand: parameters need a look of their own, or what decides the rate is a
        user's and may depend on when it is asked.
        """
        optimizer = self.optimizer
        first = self._common_count()
        if first is None or not _is_pure(optimizer):
            return None
        self._begin_states()
        if not self._watch.unchanged():
            self._regroup()
        count = min(count, subnormals.until_due(optimizer.num_update))
        rates = self._rates_ahead(first, count)
        return [(group.segment, self._rows(group, rates, first)) for group in self._groups]

    def _rates_ahead(self, first: int, count: int) -> list[float]:
        """Return the rates of `count` updates after the `first` ones."""
        optimizer = self.optimizer
        if optimizer.lr_scheduler is None:
            return [optimizer._global_lr()] * count
        before, rates = optimizer.num_update, []
        for t in range(first + 1, first + 1 + count):
            optimizer.num_update = max(before, t)
            rates.append(optimizer._global_lr())
        optimizer.num_update = before
        return rates

    def _rows(self, group: Group, rates: Sequence[float], first: int) -> Array:
        """Return the scalars of a group in an update at each of these rates, a row each."""
        optimizer = self.optimizer
        rows = np.tile(self._row(group, rates[0], first + 1), (len(rates), 1))
        lrs, wd = [rate * group.lr_mult for rate in rates], optimizer.wd * group.wd_mult
        columns = {"lr": lrs}
        if _counts_in_scalars(optimizer):
            found = [optimizer.scalars(lr, wd, t) for t, lr in enumerate(lrs, first + 1)]
            columns |= {name: [scalars[name] for scalars in found] for name in found[0]}
        for place, name in enumerate(group.names):
            if name in columns:
                rows[:, place] = columns[name]
        return rows

    def advance(self, count: int) -> None:
        """Take note that `count` of the updates that `ahead` prepared were made."""
        first = self._common_count()
        if count and first is not None:
            self._count(first + count)
            self._sweep_if_due()

    def _regroup(self) -> None:
        """Cut the arena anew into neighbours of equal multipliers."""
        optimizer = self.optimizer
        rows = [(*optimizer.multipliers(s.index), optimizer.wd != 0) for s in self.slots]
        rows = [(lr, wd if decays else 0.0, decays) for lr, wd, decays in rows]
        self._groups = []
        for (lr_mult, wd_mult, decays), start, stop in self._runs(rows):
            segment, names = self._segment(start, stop, decays and wd_mult != 0)
            settings = {name: getattr(optimizer, name, None) or 0.0 for name in names}
            self._groups.append(Group(lr_mult, wd_mult, segment, names, settings))
        self._watch = Watch(optimizer)

    def _runs(self, rows: Sequence[Any]) -> list[tuple[Any, int, int]]:
        """Join neighbours with equal rows: (row, start, stop) of each run."""
        runs: list[tuple[Any, int, int]] = []
        for slot, row in zip(self.slots, rows, strict=True):
            if runs and runs[-1][0] == row:
                runs[-1] = (row, runs[-1][1], slot.stop)
            else:
                runs.append((row, slot.start, slot.stop))
        return runs

    def _segment(self, start: int, stop: int, decays: bool) -> Bound:
        key = (start, stop, structure_of(self.optimizer, decays))
        if key not in self._segments:
            rule = rule_of(self.optimizer, decays)
            require_states(self.optimizer, rule.states, list(self.states))
            named = {"weight": self._updated, "grad": self.grad, **self.states, **self._scratch}
            parts = [named[name][start:stop] for name in rule.arrays]
            rounded = self._rounded(start, stop) if 0 in rule.targets else None
            segment = self._backend.segment(rule.program, parts, rule.targets, rounded)
            self._segments[key] = (segment, rule.program.scalars)
        return self._segments[key]

    def _rounded(self, start: int, stop: int) -> Rounded | None:
        """Return where the weights, the first array of every rule, go beside the master."""
        return None if self.master is None else (0, self.weight[start:stop])

    # -- one parameter after the other -------------------------------------------------------

    def _step_one_by_one(self) -> None:
        optimizer = self.optimizer
        size = max(aggregation_size(optimizer), 1) if optimizer.counts_together else 1
        for start in range(0, len(self._by_index), size):
            piece = self._by_index[start : start + size]
            indices = [slot.index for slot in piece]
            rates, decays = look_up(optimizer, indices, together=size > 1)
            for slot, lr, wd in zip(piece, rates, decays, strict=True):
                self._update(slot, lr, wd)

    def _update(self, slot: Slot, lr: float, wd: float) -> None:
        optimizer = self.optimizer
        part = slice(slot.start, slot.stop)
        t = optimizer._index_update_count[slot.index]
        states = {name: state[part] for name, state in self.states.items()}
        weight, grad = self._updated[part], self.grad[part]
        grad = grad.astype(weight.dtype, copy=False)
        layer = Layer(slot.index, lr, wd, t, weight, grad, states)
        segment, names = self._segment(slot.start, slot.stop, wd != 0)
        if NOISE in self._scratch:
            optimizer.draw_noise(slot.index, t, self._scratch[NOISE][part])
        segment.run(layer_row(optimizer, names, layer))
        if STEP in self._scratch:
            step = self._scratch[STEP][part]
            if slot not in self._appliers:
                rounded = self._rounded(slot.start, slot.stop)
                arrays = [weight, step]
                self._appliers[slot] = self._backend.segment(APPLY_STEP, arrays, [0], rounded)
            ratio = optimizer.trust_ratio(norm(layer.weight), norm(step))
            self._appliers[slot].run((lr * ratio,))


@dataclass(frozen=True)
class Group:
    """Neighbours with equal multipliers; `settings` are the scalars that are no rates."""

    lr_mult: float
    wd_mult: float
    segment: RunnableRule
    names: tuple[str, ...]
    settings: dict[str, float]


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


def _counts_in_scalars(optimizer: Optimizer) -> bool:
    """Whether scalars depend on the count of updates."""
    return type(optimizer).scalars is not Optimizer.scalars


def _is_pure(optimizer: Optimizer) -> bool:
    """Whether rates and scalars may be asked for before their updates, and once too often."""
    scheduler = optimizer.lr_scheduler
    rates_are = scheduler is None or getattr(scheduler, "is_pure", False)
    return rates_are and (
        not _counts_in_scalars(optimizer) or type(optimizer).__module__.startswith("mxtrain.")
    )


def _tables(optimizer: Optimizer) -> list[dict[Any, Any]]:
    """Return what may change in place and decides the multipliers."""
    return [optimizer.lr_mult, optimizer.wd_mult, optimizer.idx2name]


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


def look_up(
    optimizer: Optimizer, indices: Sequence[Any], together: bool
) -> tuple[list[float], list[float]]:
    """Count a piece of parameters and return their rates and decays, in the optimizer's order."""
    if together:
        optimizer._update_count(indices)
        optimizer.begin_piece()
        return optimizer._get_lrs(indices), optimizer._get_wds(indices)
    (index,) = indices
    if optimizer.looks_up_before_counting:
        rate, decay = optimizer._get_lr(index), optimizer._get_wd(index)
        optimizer._update_count(index)
    else:
        optimizer._update_count(index)
        rate = optimizer._get_lr(index) if optimizer.uses_rate else 0.0
        decay = optimizer._get_wd(index)
    optimizer.begin_piece()
    return [rate], [decay]
