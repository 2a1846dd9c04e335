"""Running an optimizer's formula over the arena.

An update has a prologue in Python doubles (count, rate, decay and the optimizer's scalars, once per
parameter in index order, giving a row of scalars each) and the compiled formula. Parameters that
lie side by side and have equal rows are one segment.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from mxtrain import backend as backends
from mxtrain.optimizer import subnormals
from mxtrain.optimizer.base import Optimizer, aggregation_size
from mxtrain.optimizer.copies import Copies
from mxtrain.optimizer.states import NOISE
from mxtrain.optimizer.together import (
    Watch,
    counts_in_scalars,
    is_pure,
    may_step_together,
    takes_masters,
)
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
    from mxtrain.backend.numpy import Array, RunnableRule

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

    `states` has flat buffers of the same layout, by state name. `master` is what the rule moves in
    place of float16 weights, which take its values rounded (`takes_masters`), or None.
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
        dtype = np.dtype(np.float32) if takes_masters(optimizer, weight) else weight.dtype
        self.master = self._zeros(dtype) if dtype != weight.dtype else None
        self._moved = weight if self.master is None else self.master
        self.states = {name: self._zeros(dtype) for name in rule.states}
        copies = [name for name in optimizer.copies_of_weight if name in self.states]
        pairs = [(self.states[name], self._moved) for name in copies]
        if self.master is not None:
            pairs.insert(0, (self.master, weight))
        self.copies = Copies(pairs, [slice(slot.start, slot.stop) for slot in self.slots])
        averages = [self.states[name] for name in self.states if name not in copies]
        self._sweeper = subnormals.Sweeper(averages if self._backend.slowed_by_subnormals else [])
        scratch = [name for name in (NOISE, STEP) if name in rule.arrays]
        self._scratch = {name: self._zeros(dtype) for name in scratch}
        self._by_index = sorted(self.slots, key=lambda slot: slot.index)
        self._segments: dict[tuple[int, int, Structure], Bound] = {}
        self._appliers: dict[Slot, RunnableRule] = {}
        self._may_step_together = may_step_together(optimizer)
        self._indices = [slot.index for slot in self._by_index]
        self._groups: list[Group] = []
        self._watch = Watch(None)

    def _zeros(self, dtype: np.dtype[Any]) -> Array:
        return self._backend.zeros(self.weight.shape, dtype)

    def state_of(self, slot: Slot, shape: tuple[int, ...]) -> Any:
        """Return the states of one parameter as views, in MXNet's form."""
        views = {n: s[slot.start : slot.stop].reshape(shape) for n, s in self.states.items()}
        packed = self.optimizer.pack_states(views)
        if self.master is None:
            return packed
        return self.optimizer.pack_master(
            packed, self.master[slot.start : slot.stop].reshape(shape)
        )

    def restart(self, slot: Slot) -> None:
        """Let the states of one parameter begin anew."""
        part = slice(slot.start, slot.stop)
        for state in self.states.values():
            state[part] = 0
        self.copies.restart(part)

    @property
    def nbytes(self) -> int:
        """The bytes of all states, masters included."""
        masters = [] if self.master is None else [self.master]
        return sum(int(array.nbytes) for array in (*masters, *self.states.values()))

    def update_bytes(self) -> int:
        """Return the bytes that an update reads and writes.

        Gradients once, the rest twice, but for float16 weights that only take a master's values.
        """
        weights = int(self.weight.nbytes) * (2 if self.master is None else 1)
        return int(self.grad.nbytes) + weights + 2 * self.nbytes

    def scratch_bytes(self) -> int:
        """Return the bytes it needs beside the states, as far as they have been needed."""
        runnable = [*(segment for segment, _ in self._segments.values()), *self._appliers.values()]
        own = sum(int(array.nbytes) for array in self._scratch.values())
        return own + self._sweeper.nbytes + sum(one.nbytes for one in runnable)

    def step(self) -> None:
        """Update every parameter once."""
        self.copies.begin()
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
        if first is None or not is_pure(optimizer):
            return None
        self.copies.begin()
        if not self._watch.unchanged():
            self._regroup()
        if self._backend.slowed_by_subnormals:
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
        if counts_in_scalars(optimizer):
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
            named = {"weight": self._moved, "grad": self.grad, **self.states, **self._scratch}
            parts = [named[name][start:stop] for name in rule.arrays]
            place = rule.arrays.index("weight")
            rounded = None if self.master is None else (place, self.weight[start:stop])
            segment = self._backend.segment(rule.program, parts, rule.targets, rounded)
            self._segments[key] = (segment, rule.program.scalars)
        return self._segments[key]

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
        layer = Layer(slot.index, lr, wd, t, self._moved[part], self.grad[part], states)
        segment, names = self._segment(slot.start, slot.stop, wd != 0)
        if NOISE in self._scratch:
            optimizer.draw_noise(slot.index, t, self._scratch[NOISE][part])
        segment.run(layer_row(optimizer, names, layer))
        if STEP in self._scratch:
            step = self._scratch[STEP][part]
            if slot not in self._appliers:
                self._appliers[slot] = self._backend.segment(APPLY_STEP, [layer.weight, step], [0])
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
